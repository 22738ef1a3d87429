"""trade-fills on real Kafka and PostgreSQL: effects once, whatever is delivered, however often."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from decimal import Decimal

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from services.trade_management.fills import lanes
from services.trade_management.fills.lanes import BATCH_RECORDS
from shared.contracts.discarded import Discarded
from shared.contracts.exits import ExitIntentApproved
from shared.contracts.topics import TopicNames
from shared.contracts.vocabulary import ExitReason
from shared.ids import new_id
from shared.outbox.signatures import SIGNATURE_HEADER, new_signing_key, signer_of
from shared.postgres.engine import open_engine
from shared.runtime.failpoints import Failpoint, arm, disarm_all
from shared.settings import Settings
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, emitted, execution, open_trade, rows, stored
from tests.support.product_process import ProductProcess, run
from tests.support.servers import Database
from tests.support.signing import parts_of, signed
from tests.support.waiting import wait_until

FILLED = "io.exitflow.ExitIntentFilled.v1"
PARTLY = "io.exitflow.ExitIntentPartiallyFilled.v1"
CANCELLED = "io.exitflow.ExitIntentCancelled.v1"
LATE = "io.exitflow.ExitIntentLateFill.v1"


@pytest.fixture
def intents(settings: Settings, topics: TopicNames) -> Iterator[IntentsTopic]:
    """The environment's exits.intents.v1."""
    topic = IntentsTopic(settings)
    yield topic
    topic.close()


@pytest.fixture
def failpoints(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Failpoints may be armed; none is afterwards."""
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    disarm_all()


def test_a_filled_intent_closes_its_trade(settings: Settings, trade_engine: Engine, intents: IntentsTopic) -> None:
    trade = open_trade(trade_engine)
    intents.tell(Intent(trade).filled(execution()))
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["net_pnl"]) == ("CLOSED", Decimal("917.28"))
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_partial_fills_book_a_part_and_the_rest_closes(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade, first = open_trade(trade_engine), execution(40)
    intent = Intent(trade)
    with consuming(settings, trade_engine):
        intents.tell(intent.partially_filled(first))
        intents.wait_until_consumed()
        assert stored(trade_engine, trade.trade_id)["open_quantity"] == 60
        intents.tell(intent.cancelled(first))
        stop = Intent(trade, ExitReason.STOP_LOSS, 60)
        intents.tell(stop.filled(execution(60, "990", nth=2)))
        intents.wait_until_consumed()
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["exit_intent_id"]) == ("CLOSED", stop.intent_id)
    assert emitted(trade_engine, "TradePartiallyClosed", trade.trade_id) == 1
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_duplicates_and_redelivery_change_nothing(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade = open_trade(trade_engine)
    event, event_id = Intent(trade).filled(execution()), new_id()
    for _ in range(3):
        intents.tell(event, event_id=event_id)
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    before = stored(trade_engine, trade.trade_id)
    intents.rewind()
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert stored(trade_engine, trade.trade_id) == before
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1
    assert rows(trade_engine, "SELECT event_id FROM inbox") == [{"event_id": event_id}]


def test_a_late_fill_is_recorded_and_flagged(settings: Settings, trade_engine: Engine, intents: IntentsTopic) -> None:
    trade = open_trade(trade_engine)
    ended = Intent(trade)
    intents.tell(Intent(trade).filled(execution()), ended.late_fill(execution(10, nth=2)))
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert rows(trade_engine, "SELECT intent_id FROM trade_fills WHERE late") == [{"intent_id": ended.intent_id}]
    assert stored(trade_engine, trade.trade_id)["net_pnl"] == Decimal("917.28")


def test_an_unusable_record_becomes_a_dead_letter_alone(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade, last = open_trade(trade_engine), open_trade(trade_engine)
    good = Intent(trade).filled(execution()).payload()
    identity = {"ce_id": str(new_id()), "ce_type": FILLED}
    stranger = open_trade(trade_engine, symbol="NSE:TCS")
    # The fill of another trade's intent.
    taken = good.replace(str(trade.trade_id).encode(), str(stranger.trade_id).encode()).replace(b"INFY", b"TCS")
    bad: list[tuple[bytes | None, dict[str, str], str]] = [
        (b"\xff\x00 not JSON", identity, "malformed_message"),
        (None, identity, "malformed_message"),
        (b"{}", identity, "malformed_message"),
        (b"[" * 100_000, identity, "malformed_message"),
        (good.replace(b'"1010.00"', b'"-1"'), identity, "malformed_message"),
        (good.replace(b'"T1"', b'"T\\u0000"'), identity, "malformed_message"),
        (good.replace(b'"T1"', b'"' + b"T" * 5000 + b'"'), identity, "malformed_message"),
        (good.replace(b'"filled_quantity":100', b'"filled_quantity":99'), identity, "malformed_message"),
        (good, {"ce_type": FILLED}, "malformed_message"),
        (good, {"ce_id": "17", "ce_type": FILLED}, "malformed_message"),
        (good, {"ce_id": str(new_id())}, "malformed_message"),
        (good.replace(str(trade.trade_id).encode(), str(new_id()).encode()), identity, "unknown_trade"),
        (good.replace(b"NSE:INFY", b"NSE:TCS"), identity, "contradicts_trade"),
        (good.replace(b'quantity":100', b'quantity":101'), identity, "contradicts_trade"),
        (taken, {**identity, "ce_id": str(new_id())}, "refused_by_database"),
    ]
    intents.put(good, {"ce_id": str(new_id()), "ce_type": FILLED}, key="same")
    for value, headers, _ in bad:
        intents.put(value, headers, key="same")
    intents.put(Intent(last).filled(execution()).payload(), {"ce_id": str(new_id()), "ce_type": FILLED}, key="same")
    with consuming(settings, trade_engine) as health:
        intents.wait_until_consumed()
        wait_until(health.is_ready, "the consumer is well")
    dead = intents.dead_letters()
    assert {(value, headers["dlq_code"]) for value, headers in dead} == {(value, code) for value, _, code in bad}
    assert len(dead) == len(bad)
    assert all(headers["dlq_reason"] and headers["dlq_topic"] == intents.name for _, headers in dead)
    for each in (trade, last):
        assert stored(trade_engine, each.trade_id)["status"] == "CLOSED"
    assert stored(trade_engine, stranger.trade_id)["status"] == "OPEN"


def test_types_without_fills_and_unknown_types_are_skipped(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade = open_trade(trade_engine)
    intents.tell(Intent(trade).tell(ExitIntentApproved))
    intents.put(b"?", {"ce_id": str(new_id()), "ce_type": "io.exitflow.ExitIntentPondered.v1"})
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert intents.dead_letters() == []
    assert rows(trade_engine, "SELECT FROM inbox") == []


def test_a_discarded_event_never_counts_when_it_arrives_late(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade, event_id = open_trade(trade_engine), new_id()
    intents.put(b"{}", {"ce_id": str(event_id), "ce_type": Discarded.event_type()}, key=str(trade.trade_id))
    intents.tell(Intent(trade).filled(execution()), event_id=event_id)
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert stored(trade_engine, trade.trade_id)["status"] == "OPEN"
    assert intents.dead_letters() == []
    assert rows(trade_engine, "SELECT event_id FROM inbox") == [{"event_id": event_id}]


def test_an_oversized_record_leaves_a_stub_as_dead_letter(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    intents.put(os.urandom(950_000), {"ce_id": str(new_id()), "ce_type": FILLED})
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    ((value, headers),) = intents.dead_letters()
    assert value is None
    assert (headers["dlq_code"], headers["dlq_offset"]) == ("malformed_message", "0")


def test_a_failure_before_the_commit_is_tried_again(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic, failpoints: None
) -> None:
    trade = open_trade(trade_engine)
    arm(Failpoint.TRADES_AFTER_CLOSURE, "raise")
    intents.tell(Intent(trade).filled(execution()))
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_nothing_is_lost_while_the_database_refuses(
    settings: Settings, database: Database, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade = open_trade(trade_engine)
    migrator = open_engine(database.migrator_url, "trade_management", application="test")
    with migrator.begin() as connection:
        connection.execute(text("REVOKE INSERT ON trade_fills FROM exitflow_trade"))
    with consuming(settings, trade_engine) as health:
        intents.tell(Intent(trade).filled(execution()))
        wait_until(lambda: "fills" in health.problems(), "the consumer says that fills wait")
        assert "database" in health.problems()["fills"]
        assert stored(trade_engine, trade.trade_id)["status"] == "OPEN"
        with migrator.begin() as connection:
            connection.execute(text("GRANT INSERT ON trade_fills TO exitflow_trade"))
        intents.wait_until_consumed()
        wait_until(health.is_ready, "the consumer is well again")
    migrator.dispose()
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_copies_that_come_and_go_close_each_trade_once(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trades = [open_trade(trade_engine) for _ in range(60)]
    events = [Intent(trade).filled(execution()) for trade in trades]
    with consuming(settings, trade_engine):
        intents.tell(*events[:20])
        with consuming(settings, trade_engine):
            intents.tell(*events[20:40])
        intents.tell(*events[40:])
        intents.wait_until_consumed()
    assert {stored(trade_engine, trade.trade_id)["status"] for trade in trades} == {"CLOSED"}
    assert [emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades] == [1] * 60


@pytest.mark.parametrize("failpoint", [Failpoint.TRADES_AFTER_CLOSURE, Failpoint.TRADES_AFTER_COMMIT])
def test_failed_lanes_of_a_backlog_close_each_trade_once(
    settings: Settings,
    trade_engine: Engine,
    intents: IntentsTopic,
    failpoints: None,
    monkeypatch: pytest.MonkeyPatch,
    failpoint: Failpoint,
) -> None:
    monkeypatch.setattr(lanes, "BATCH_RECORDS", 4)
    trades = [open_trade(trade_engine) for _ in range(40)]
    for trade in trades:
        intent, first = Intent(trade), execution(40)
        intents.tell(intent.partially_filled(first), intent.filled(first, execution(60, nth=2)))
    arm(failpoint, "raise", on_hit=5)
    for _ in range(2):
        with consuming(settings, trade_engine):
            intents.wait_until_consumed()
        intents.rewind()
    assert {stored(trade_engine, trade.trade_id)["status"] for trade in trades} == {"CLOSED"}
    for name in ("TradePartiallyClosed", "TradeClosed"):
        assert [emitted(trade_engine, name, trade.trade_id) for trade in trades] == [1] * 40
    assert intents.dead_letters() == []


@pytest.mark.parametrize(
    ("failpoint", "count"),
    [
        (Failpoint.TRADES_AFTER_CLOSURE, 10),
        (Failpoint.TRADES_AFTER_COMMIT, 10),
        (Failpoint.TRADES_AFTER_COMMIT, BATCH_RECORDS + 100),
    ],
)
def test_a_killed_process_leaves_each_trade_closed_once(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic, failpoint: Failpoint, count: int
) -> None:
    trades = [open_trade(trade_engine) for _ in range(count)]
    intents.tell(*(Intent(trade).filled(execution()) for trade in trades))
    killed = ProductProcess(run("run", "trade-fills"), _environment(settings, failpoint))
    assert killed.wait(60) == -signal.SIGKILL
    assert not intents.everything_is_consumed()
    closed = rows(trade_engine, "SELECT FROM trades WHERE status = 'CLOSED'")
    assert bool(closed) == (failpoint is Failpoint.TRADES_AFTER_COMMIT)
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert {stored(trade_engine, trade.trade_id)["status"] for trade in trades} == {"CLOSED"}
    assert [emitted(trade_engine, "TradeClosed", trade.trade_id) for trade in trades] == [1] * count
    assert rows(trade_engine, "SELECT count(*) AS n FROM trade_closures") == [{"n": count}]


def _environment(settings: Settings, failpoint: Failpoint) -> dict[str, str]:
    url = settings.trade_database_url
    assert isinstance(url, SecretStr)
    return {
        "EXITFLOW_TRADE_DATABASE_URL": url.get_secret_value(),
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "EXITFLOW_KAFKA_CONSUMER_PREFIX": settings.kafka_consumer_prefix,
        "EXITFLOW_KAFKA_SESSION_TIMEOUT_S": str(settings.kafka_session_timeout_s),
        "EXITFLOW_TESTING": "1",
        "EXITFLOW_FAILPOINTS": f"{failpoint.value}=kill",
    }


def test_unsigned_fill_events_close_and_lose_nothing(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    aimed_at, honest = open_trade(trade_engine), open_trade(trade_engine)
    genuine = Intent(aimed_at).filled(execution(price="1010"))
    forged = Intent(aimed_at).filled(execution(price="1"))
    headers = {"ce_id": str(new_id()), "ce_type": FILLED}
    stranger = signer_of(new_signing_key(), "a stranger's key")
    by_stranger = stranger.sign(parts_of(intents.name, forged.key, forged.payload(), headers))
    for value, its_headers in [
        (forged.payload(), headers),
        (forged.payload(), headers | {SIGNATURE_HEADER: by_stranger}),
        # A genuine signature under another price, and a genuine event on behalf of another trade.
        (forged.payload(), signed(intents.name, genuine.key, genuine.payload(), headers)),
        (b"{}", headers | {"ce_type": Discarded.event_type()}),
        (Intent(aimed_at).cancelled(execution()).payload(), headers | {"ce_type": CANCELLED}),
        (Intent(aimed_at).late_fill(execution()).payload(), headers | {"ce_type": LATE}),
        (Intent(aimed_at).partially_filled(execution(40)).payload(), headers | {"ce_type": PARTLY}),
    ]:
        intents.put_as_it_is(value, its_headers, key=forged.key)
    intents.tell(Intent(honest).filled(execution()))
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    assert stored(trade_engine, aimed_at.trade_id)["status"] == "OPEN"
    assert rows(trade_engine, "SELECT * FROM trade_fills WHERE trade_id = :id", id=aimed_at.trade_id) == []
    assert stored(trade_engine, honest.trade_id)["status"] == "CLOSED"
    assert [letter["dlq_code"] for _, letter in intents.dead_letters()] == ["untrusted"] * 7


def test_a_forged_record_does_not_consume_the_genuine_id(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade, event_id = open_trade(trade_engine), new_id()
    for kind in (Discarded.event_type(), FILLED):
        forged = Intent(trade).filled(execution(price="1")).payload()
        intents.put_as_it_is(forged, {"ce_id": str(event_id), "ce_type": kind}, key=str(trade.trade_id))
    intents.tell(Intent(trade).filled(execution()), event_id=event_id)
    with consuming(settings, trade_engine):
        intents.wait_until_consumed()
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["net_pnl"]) == ("CLOSED", Decimal("917.28"))
