"""The reference page of all events: topic, key, fields and a sample of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.contracts.documents import CONTRACTS
from services.contracts.event_schemas import schema_of
from services.contracts.pages import code, page, table
from shared.contracts.discarded import ANY_TOPIC
from shared.contracts.events import Event, event_classes

EXAMPLES = CONTRACTS / "examples"
"""One record of each type as consumers received it once; later versions must still read it."""


def event_page() -> str:
    """Return the page of all events, by topic and type."""
    intro = (
        "Each event is a CloudEvent in binary mode; the fields below are its JSON value. Consumers ignore unknown",
        "fields. [How to consume](../how-to/consume-events.md) explains headers, order and repetitions.",
        "[AsyncAPI](../contracts/asyncapi.json) and one JSON Schema per type say the same for machines.",
    )
    by_topic = sorted(event_classes(), key=lambda event: (event.topic, event.__name__))
    return page("Events", intro, *(_section(event) for event in by_topic))


def example_file(event: type[Event]) -> Path:
    """Return the file of an event's golden record."""
    return EXAMPLES / f"{event.event_type()}.json"


def _section(event: type[Event]) -> str:
    schema = schema_of(event)
    topic = "the topic of the replaced event" if event.topic == ANY_TOPIC else f"`{event.topic}`"
    lines = (
        f"## {event.__name__}",
        schema.get("description", ""),
        f"Topic: {topic}. Type: `{event.event_type()}`. [Schema](../contracts/events/{event.event_type()}.json).",
        table(("field", "type", "always there", "meaning"), _fields(schema)),
        code("json", json.dumps(json.loads(example_file(event).read_text()), indent=1)),
    )
    return "\n\n".join(lines)


def _fields(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        yield f"`{name}`", type_text(field), "yes" if name in required else "", field.get("description", "")


def type_text(field: dict[str, Any]) -> str:
    """Return the type of a JSON Schema field in words, e.g. ``date-time`` or ``list of Fill``."""
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[1])
    if "anyOf" in field:
        return " or ".join(type_text(each) for each in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {type_text(field.get('items', {}))}"
    if "const" in field:
        return f"`{field['const']}`"
    return str(field.get("format") or field.get("type") or "any")
