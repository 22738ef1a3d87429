"""A change breaking a reader is found; any other is let through."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from services.contracts.compatibility import breaking_changes, breaking_documents
from services.contracts.documents import documents, written, written_documents

Json = dict[str, Any]
FILLED = "events/io.exitflow.ExitIntentFilled.v1.json"


def test_no_reader_of_the_committed_contracts_breaks() -> None:
    found = breaking_documents(written_documents(), documents())
    assert not found, "\n".join(found)


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


def drop_word(schema: Json) -> None:
    schema["$defs"]["ExitReason"]["enum"].remove("TIME")


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
        drop_word,
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


@pytest.mark.parametrize("change", [add_optional, reword], ids=lambda change: change.__name__)
def test_a_change_that_breaks_nobody_is_let_through(change: Callable[[Json], None]) -> None:
    after = deepcopy(written(FILLED))
    change(after)
    assert breaking_changes(written(FILLED), after) == []


def rename_topic(contracts: Json) -> None:
    channels = contracts["asyncapi.json"]["channels"]
    channels["exits.intents.v2"] = channels.pop("exits.intents.v1")


def move_event(contracts: Json) -> None:
    channels = contracts["asyncapi.json"]["channels"]
    channels["trades.v1"]["messages"].update(
        ExitIntentFilled=channels["exits.intents.v1"]["messages"].pop("ExitIntentFilled")
    )


def drop_header(contracts: Json) -> None:
    headers = contracts["asyncapi.json"]["components"]["messages"]["ExitIntentFilled"]["headers"]
    del headers["properties"]["ce_sequence"]
    headers["required"].remove("ce_sequence")


def change_pattern_of_header(contracts: Json) -> None:
    headers = contracts["asyncapi.json"]["components"]["messages"]["ExitIntentFilled"]["headers"]
    headers["properties"]["ce_sequence"]["pattern"] = "^[0-9]+$"


def drop_event(contracts: Json) -> None:
    del contracts[FILLED]


@pytest.mark.parametrize(
    "change",
    [rename_topic, move_event, drop_header, change_pattern_of_header, drop_event],
    ids=lambda change: change.__name__,
)
def test_a_change_of_topics_headers_or_events_is_found(change: Callable[[Json], None]) -> None:
    after = deepcopy(written_documents())
    change(after)
    assert breaking_documents(written_documents(), after)


def add_topic(contracts: Json) -> None:
    channels = contracts["asyncapi.json"]["channels"]
    channels["exits.news.v1"] = deepcopy(channels["exits.intents.v1"])


def add_header(contracts: Json) -> None:
    headers = contracts["asyncapi.json"]["components"]["messages"]["ExitIntentFilled"]["headers"]
    headers["properties"]["ce_dataschema"] = {"type": "string"}


@pytest.mark.parametrize("change", [add_topic, add_header], ids=lambda change: change.__name__)
def test_a_new_topic_or_an_optional_header_breaks_nobody(change: Callable[[Json], None]) -> None:
    after = deepcopy(written_documents())
    change(after)
    assert breaking_documents(written_documents(), after) == []
