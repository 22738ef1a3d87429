"""Records as consumers received them once are still read, field by field, and still fit their schemas."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from services.contracts.event_reference import EXAMPLES, example_file
from services.contracts.event_schemas import event_schemas
from shared.contracts.events import Event, event_classes, parse_event

SCHEMAS = event_schemas()


@pytest.mark.parametrize("event", event_classes(), ids=lambda event: event.__name__)
def test_a_golden_record_is_read_without_losing_a_field(event: type[Event]) -> None:
    text = example_file(event).read_text()
    written = json.loads(parse_event(event.event_type(), text).payload())
    assert missing_from(written, json.loads(text)) == []


@pytest.mark.parametrize("event", event_classes(), ids=lambda event: event.__name__)
def test_a_golden_record_fits_its_schema(event: type[Event]) -> None:
    jsonschema.validate(json.loads(example_file(event).read_text()), SCHEMAS[event.event_type()])


def test_every_golden_record_belongs_to_an_event() -> None:
    assert {file.name for file in EXAMPLES.iterdir()} == {example_file(event).name for event in event_classes()}


def missing_from(new: Any, old: Any, path: str = "") -> list[str]:
    """Return the places of `old` absent from `new` or different there."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [place for name in old for place in missing_from(new.get(name), old[name], f"{path}.{name}")]
    return [] if new == old else [path]
