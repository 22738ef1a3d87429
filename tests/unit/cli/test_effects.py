"""Records consumed and then removed are no fault; lost ones are."""

from __future__ import annotations

import json

from services.checker.effects import check_effects
from services.checker.kafka_log import LogRecord, Removed
from services.checker.trade_books import TradeBooks
from shared.contracts.topics import EXIT_INTENTS

FILLS = [{"broker_order_id": "o1", "broker_trade_id": "t1"}]
FILLED = "io.exitflow.ExitIntentFilled.v1"
REMOVED = Removed(frozenset({(f"env.{EXIT_INTENTS}", 3)}), {f"env.{EXIT_INTENTS}": 12})


def filled(payload: bytes = json.dumps({"fills": FILLS}).encode()) -> LogRecord:
    return LogRecord(f"env.{EXIT_INTENTS}", 0, 0, "k", "e1", FILLED, 1, payload)


def books(inbox: set[str], *executions: tuple[str, str]) -> TradeBooks:
    return TradeBooks({}, {}, inbox, frozenset(executions))


def test_event_with_pruned_inbox_row_counts_by_stored_fills() -> None:
    assert check_effects(books(set(), ("o1", "t1")), [], [filled()]).holds


def test_an_event_that_changed_nothing_is_convicted() -> None:
    for record in (filled(), filled(b"{}"), filled(b"\xff")):
        assert not check_effects(books(set(), ("o1", "t2")), [], [record]).holds


def test_effect_without_event_is_convicted_unless_kafka_removed_records() -> None:
    assert not check_effects(books({"e1"}), [], []).holds
    found = check_effects(books({"e1"}), [], [], REMOVED)
    assert found.holds
    assert "removed" in found.note
