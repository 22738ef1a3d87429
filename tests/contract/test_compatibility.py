"""A change breaking a reader is found; any other is let through."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from services.contracts.compatibility import breaking_changes
from services.contracts.documents import written
from services.contracts.event_schemas import schema_of
from shared.contracts.events import event_classes

Json = dict[str, Any]
FILLED = "events/io.exitflow.ExitIntentFilled.v1.json"


@pytest.mark.parametrize("event", event_classes(), ids=lambda event: event.__name__)
def test_no_event_breaks_the_readers_of_its_committed_schema(event: Any) -> None:
    assert breaking_changes(written(f"events/{event.event_type()}.json"), schema_of(event)) == []


def drop_field(schema: Json) -> None:
    del schema["properties"]["quantity"]


def rename_field(schema: Json) -> None:
    schema["properties"]["qty"] = schema["properties"].pop("quantity")


def change_type(schema: Json) -> None:
    schema["properties"]["quantity"]["type"] = "string"


def change_format(schema: Json) -> None:
    schema["properties"]["filled_at"].pop("format")


def make_optional(schema: Json) -> None:
    schema["required"].remove("quantity")


def make_required(schema: Json) -> None:
    schema["required"].append("executable")


def add_required(schema: Json) -> None:
    schema["properties"]["venue"] = {"type": "string"}
    schema["required"].append("venue")


def let_be_null(schema: Json) -> None:
    schema["properties"]["quantity"] = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def add_word(schema: Json) -> None:
    schema["$defs"]["Direction"]["enum"].append("FLAT")


def open_enumeration(schema: Json) -> None:
    del schema["$defs"]["Direction"]["enum"]


def change_nested_type(schema: Json) -> None:
    schema["$defs"]["Fill"]["properties"]["price"]["type"] = "number"


def drop_nested_field(schema: Json) -> None:
    del schema["$defs"]["Fill"]["properties"]["broker_trade_id"]


@pytest.mark.parametrize(
    "change",
    [
        drop_field,
        rename_field,
        change_type,
        change_format,
        make_optional,
        make_required,
        add_required,
        let_be_null,
        add_word,
        open_enumeration,
        change_nested_type,
        drop_nested_field,
    ],
    ids=lambda change: change.__name__,
)
def test_a_change_that_breaks_readers_is_found(change: Callable[[Json], None]) -> None:
    after = deepcopy(written(FILLED))
    change(after)
    assert breaking_changes(written(FILLED), after)


def add_optional(schema: Json) -> None:
    schema["properties"]["venue"] = {"type": "string", "default": "NSE"}


def reword(schema: Json) -> None:
    schema["description"] = "other words"


def drop_word(schema: Json) -> None:
    schema["$defs"]["ExitReason"]["enum"].remove("TIME")


@pytest.mark.parametrize("change", [add_optional, reword, drop_word], ids=lambda change: change.__name__)
def test_a_change_that_breaks_nobody_is_let_through(change: Callable[[Json], None]) -> None:
    after = deepcopy(written(FILLED))
    change(after)
    assert breaking_changes(written(FILLED), after) == []
