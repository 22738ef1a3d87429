"""A locked row delays the closure of its own trade alone, and nothing is lost meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from services.trade_management.domain.trade import Trade
from shared.contracts.topics import TRADES, TopicNames
from shared.contracts.vocabulary import ExitReason
from shared.ids import new_id
from shared.runtime import waiting_work
from shared.runtime.telemetry import REGISTRY
from shared.runtime.waiting_work import CONDITION
from shared.settings import Settings
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, emitted, execution, open_trade, rows, stored
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.waiting import wait_until

OTHERS = 5
SCHEMA = "trade_management"
HELD = {
    "the trade": "SELECT 1 FROM trades WHERE trade_id = '{trade_id}'",
    "the sequence of its symbol": "SELECT 1 FROM outbox_sequence WHERE key = '{symbol}'",
}


@pytest.fixture
def intents(settings: Settings, topics: TopicNames) -> Iterator[IntentsTopic]:
    """The environment's exits.intents.v1."""
    topic = IntentsTopic(settings)
    yield topic
    topic.close()


def is_closed(engine: Engine, trade: Trade) -> bool:
    """Whether a trade's row says so."""
    return bool(stored(engine, trade.trade_id)["status"] == "CLOSED")


def waiting(engine: Engine) -> list[UUID]:
    """The trades of the waiting records, in order."""
    return [row["trade_id"] for row in rows(engine, "SELECT trade_id FROM waiting_fills ORDER BY waiting_id")]


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_a_held_row_delays_its_own_trade_alone(
    held: str,
    settings: Settings,
    database: Database,
    trade_engine: Engine,
    intents: IntentsTopic,
    topics: TopicNames,
) -> None:
    stuck = open_trade(trade_engine, symbol="NSE:TCS")
    with trade_engine.begin() as connection:  # as if an event of the symbol had been emitted before
        sequence = {"topic": topics.on_cluster(TRADES), "key": stuck.symbol}
        connection.execute(text("INSERT INTO outbox_sequence (topic, key, last) VALUES (:topic, :key, 1)"), sequence)
    others = [open_trade(trade_engine) for _ in range(OTHERS)]
    query = held.format(trade_id=stuck.trade_id, symbol=stuck.symbol)
    with held_row(database.admin_url, SCHEMA, query), consuming(settings, trade_engine):
        intents.tell(*(Intent(trade).filled(execution()) for trade in (stuck, *others)))
        intents.wait_until_consumed()  # offsets pass: a restart or rebalance delivers nothing again
        assert all(is_closed(trade_engine, trade) for trade in others)
        assert not is_closed(trade_engine, stuck)
        assert waiting(trade_engine) == [stuck.trade_id]
    with consuming(settings, trade_engine):  # after a restart, with the row free
        wait_until(lambda: is_closed(trade_engine, stuck), "the trade closes by itself")
        wait_until(lambda: not waiting(trade_engine), "nothing waits any more")
    for trade in (stuck, *others):
        assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1
    assert len(rows(trade_engine, "SELECT FROM inbox")) == OTHERS + 1


def test_reports_of_a_held_trade_are_applied_in_order_once(
    settings: Settings, database: Database, trade_engine: Engine, intents: IntentsTopic
) -> None:
    stuck, first = open_trade(trade_engine), execution(40)
    intent, event_id = Intent(stuck), new_id()
    rest = Intent(stuck, ExitReason.STOP_LOSS, 60)
    query = HELD["the trade"].format(trade_id=stuck.trade_id)
    with consuming(settings, trade_engine):
        with held_row(database.admin_url, SCHEMA, query):
            intents.tell(intent.partially_filled(first), event_id=event_id)
            intents.tell(intent.partially_filled(first), event_id=event_id)  # delivered twice
            intents.tell(intent.cancelled(first))
            intents.wait_until_consumed()
            assert waiting(trade_engine) == [stuck.trade_id] * 2
        intents.tell(rest.filled(execution(60, "990", nth=2)))
        wait_until(lambda: is_closed(trade_engine, stuck), "the trade closes by itself")
    assert emitted(trade_engine, "TradePartiallyClosed", stuck.trade_id) == 1
    assert emitted(trade_engine, "TradeClosed", stuck.trade_id) == 1
    assert stored(trade_engine, stuck.trade_id)["exit_intent_id"] == rest.intent_id
    assert waiting(trade_engine) == []


def test_a_report_behind_a_waiting_one_waits_too(
    settings: Settings, database: Database, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade, first = open_trade(trade_engine), execution(40)
    intent, rest = Intent(trade), Intent(trade, ExitReason.STOP_LOSS, 60)
    hold_trade = held_row(database.admin_url, SCHEMA, HELD["the trade"].format(trade_id=trade.trade_id))
    hold_place = held_row(database.admin_url, SCHEMA, "SELECT 1 FROM waiting_fills")
    with consuming(settings, trade_engine):
        with hold_trade:
            intents.tell(intent.cancelled(first))
            wait_until(lambda: waiting(trade_engine) == [trade.trade_id], "the first report waits")
            hold_place.__enter__()
        intents.tell(rest.filled(execution(60, "990", nth=2)))
        intents.wait_until_consumed()
        assert waiting(trade_engine) == [trade.trade_id] * 2
        assert stored(trade_engine, trade.trade_id)["open_quantity"] == 100
        hold_place.__exit__(None, None, None)
        wait_until(lambda: is_closed(trade_engine, trade), "both are applied")
    closures = rows(trade_engine, "SELECT quantity FROM trade_closures ORDER BY nth")
    assert [closure["quantity"] for closure in closures] == [40, 60]


def test_a_missing_trade_and_a_contradiction_hold_up_no_other(
    settings: Settings, database: Database, trade_engine: Engine, intents: IntentsTopic
) -> None:
    stuck, good, other = (open_trade(trade_engine) for _ in range(3))
    missing = Intent(good).filled(execution()).model_copy(update={"trade_id": new_id()})
    contradicting = Intent(other).filled(execution()).model_copy(update={"symbol": "NSE:TCS"})
    query = HELD["the trade"].format(trade_id=stuck.trade_id)
    with held_row(database.admin_url, SCHEMA, query), consuming(settings, trade_engine):
        intents.tell(missing, contradicting, Intent(stuck).filled(execution()), Intent(good).filled(execution()))
        intents.wait_until_consumed()
        assert is_closed(trade_engine, good)
    codes = sorted(headers["dlq_code"] for _, headers in intents.dead_letters())
    assert codes == ["contradicts_trade", "unknown_trade"]


def test_what_waits_is_counted_logged_once_and_shown_by_health(
    settings: Settings,
    database: Database,
    trade_engine: Engine,
    intents: IntentsTopic,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_work, "UNREADY_AFTER_S", 1.0)
    stuck = open_trade(trade_engine)
    query = HELD["the trade"].format(trade_id=stuck.trade_id)
    with caplog.at_level(logging.INFO), consuming(settings, trade_engine) as health:
        with held_row(database.admin_url, SCHEMA, query):
            intents.tell(Intent(stuck).filled(execution()))
            wait_until(lambda: CONDITION in health.problems(), "health shows the trade")
            assert f"trade {stuck.trade_id} waits for" in health.problems()[CONDITION]
            assert REGISTRY.get_sample_value("waiting_work", {"of": "trade-fills"}) == 1
            assert (REGISTRY.get_sample_value("waiting_work_oldest_seconds", {"of": "trade-fills"}) or 0) >= 1
            tries = "SELECT tries FROM waiting_fills"
            wait_until(lambda: rows(trade_engine, tries)[0]["tries"] > 1, "it is tried again")
        wait_until(health.is_ready, "health is well again")
    assert is_closed(trade_engine, stuck)
    assert caplog.text.count(f"trade {stuck.trade_id} waits:") == 1
    assert caplog.text.count(f"trade {stuck.trade_id} goes on") == 1
    assert REGISTRY.get_sample_value("waiting_work", {"of": "trade-fills"}) == 0
