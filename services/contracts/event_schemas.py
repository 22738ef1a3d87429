"""A JSON Schema for each type of event, and one for ticks."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from shared.contracts import controls, discarded, exits, protective_stops, trades
from shared.contracts.events import event_classes
from shared.contracts.ticks import Tick

Json = dict[str, Any]

EVENTS_FOLDER = "events"
TICK_NAME = "io.exitflow.Tick.v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REGISTERING = (controls, discarded, exits, protective_stops, trades)
"""Modules with a registration of events at their import."""


def event_schemas() -> dict[str, Json]:
    """Return the payload schema of each event by its CloudEvents type, and of a tick."""
    schemas = {event.event_type(): schema_of(event) for event in event_classes()}
    return {**schemas, TICK_NAME: schema_of(Tick)}


def schema_of(model: type[BaseModel]) -> Json:
    """Return the wire schema; consumers ignore unknown fields."""
    return {"$schema": DIALECT, **opened(model.model_json_schema(mode="serialization"))}


def opened(schema: Any) -> Any:
    """Return the schema open for unknown fields: later versions may add some."""
    if isinstance(schema, dict):
        return {
            name: opened(value)
            for name, value in schema.items()
            if not (name == "additionalProperties" and value is False)
        }
    if isinstance(schema, list):
        return [opened(item) for item in schema]
    return schema
