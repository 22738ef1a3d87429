"""One AsyncAPI 3 document of all topics."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.contracts.event_schemas import opened
from shared.contracts.discarded import ANY_TOPIC
from shared.contracts.events import Event, event_classes
from shared.contracts.ticks import Tick
from shared.contracts.topics import (
    ALL_TOPICS,
    EXIT_INTENTS,
    EXIT_SIGNALS,
    MARKET_TICKS,
    OPERATIONS_CONTROLS,
    TRADES,
    dead_letter_topic,
)
from shared.outbox.signature_text import PATTERN

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/{model}"
_TICK = "Tick"
_DEAD_LETTER = "DeadLetter"

CHANNELS = {
    MARKET_TICKS: "Last traded prices; key: the symbol, partitioned as Kafka's Java clients do (murmur2).",
    TRADES: "Trades opened and closed; key: the symbol.",
    EXIT_SIGNALS: "Market logic decided to exit a trade; key: the trade_id.",
    EXIT_INTENTS: "Every step of every exit; key: the trade_id.",
    OPERATIONS_CONTROLS: "Operators' settings; the last event of a key is the setting.",
}
"""The records of each topic."""

PROMISE = (
    "At least once; first occurrences in order per key, without gaps in ce_sequence. "
    "A consumer with an inbox of ce_id sees every effect once. "
    "Payload fields are snake_case, money is a decimal string, times are RFC 3339 in UTC; ignore unknown fields."
)


SIGNATURE = (
    "Ed25519 signature of the event, or of a group of events with the event's index and path in it; "
    "both forms and how to verify them: docs/contracts/signatures.md. "
    "Absent from events written before events were signed."
)


def asyncapi() -> Json:
    """Return the AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "exitflow", "version": "1", "description": PROMISE},
        "defaultContentType": "application/json",
        "channels": {**{topic: _channel(topic) for topic in ALL_TOPICS}, **_dead_letter_channels()},
        "operations": {topic.replace(".", "-"): _operation(topic) for topic in ALL_TOPICS},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(topic: str) -> Json:
    names = _message_names(topic)
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {"address": topic, "description": CHANNELS[topic], "messages": messages}


def _message_names(topic: str) -> list[str]:
    if topic == MARKET_TICKS:
        return [_TICK]
    return [event.__name__ for event in event_classes() if event.topic in (topic, ANY_TOPIC)]


def _dead_letter_channels() -> Json:
    reference = {_DEAD_LETTER: {"$ref": f"#/components/messages/{_DEAD_LETTER}"}}
    return {
        name: {"address": name, "description": "Records unreadable for a consumer.", "messages": reference}
        for name in map(dead_letter_topic, ALL_TOPICS)
    }


def _operation(topic: str) -> Json:
    """Return the operation of a message: ticks are received from others, events are sent to them."""
    return {"action": "receive" if topic == MARKET_TICKS else "send", "channel": {"$ref": f"#/channels/{topic}"}}


def _messages() -> Json:
    events = {event.__name__: _event_message(event) for event in event_classes()}
    tick = {"name": _TICK, "contentType": "application/json", "payload": {"$ref": _SCHEMAS.format(model=_TICK)}}
    return {**events, _TICK: tick, _DEAD_LETTER: {"name": _DEAD_LETTER, "headers": _dead_letter_headers()}}


def _event_message(event: type[Event]) -> Json:
    return {
        "name": event.event_type(),
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip(),
        "contentType": "application/json",
        "headers": _cloud_event_headers(event),
        "payload": {"$ref": _SCHEMAS.format(model=event.__name__)},
    }


def _cloud_event_headers(event: type[Event]) -> Json:
    """Return the headers of CloudEvents 1.0 in Kafka's binary mode."""
    headers = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "the same in every delivery of the event"},
        "ce_source": _source(event),
        "ce_type": {"type": "string", "const": event.event_type()},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_subject": {"type": "string", "description": "the id of the event's subject"},
        "ce_sequence": {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "per topic and key, from 1"},
        "content-type": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context"},
    }
    signature = {"ce_signature": {"type": "string", "description": SIGNATURE, "pattern": PATTERN}}
    return {"type": "object", "properties": headers | signature, "required": list(headers)}


def _source(event: type[Event]) -> Json:
    if event.topic == ANY_TOPIC:
        return {"type": "string", "description": "the source of the replaced event"}
    return {"type": "string", "const": event.source}


def _dead_letter_headers() -> Json:
    names = ("dlq_topic", "dlq_partition", "dlq_offset", "dlq_code", "dlq_reason")
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def _schemas() -> Json:
    models: list[type[BaseModel]] = [*event_classes(), Tick]
    _, schema = models_json_schema([(model, "serialization") for model in models], ref_template=_SCHEMAS)
    definitions: Json = opened(schema["$defs"])
    return definitions
