"""`exitflow trades reconcile`: fills missed by trade management are told again, or named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine

from shared.contracts.exits import ExitIntentFilled
from shared.contracts.topics import TopicNames
from shared.ids import new_id
from shared.kafka.clients import home_partition
from shared.postgres.engine import open_engine
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, execution, open_trade, rows, stored
from tests.integration.trade_management.test_topic_changes import await_closed, await_problem
from tests.support.servers import Database
from tests.support.topic_changes import remove_records
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

EXECUTED = """
SET session_replication_role = replica;
INSERT INTO exit_qualification.exit_fills (broker, account, trading_day, exchange, broker_order_id, broker_trade_id,
                                           intent_id, trade_id, quantity, price, filled_at)
VALUES ('kite', 'PAPER', current_date, 'NSE', %(order)s, 'T1', %(intent)s, %(trade)s, 100, 1010, now())
"""


JUDGED = """
INSERT INTO exit_qualification.open_trades (trade_id, symbol, partition, user_broker_id, direction, product_type,
                                            quantity, entry_price, exit_plan, entered_at)
VALUES (%s, 'NSE:INFY', 0, 'paper', 'LONG', 'MIS', 100, 1000, '{}', now())
"""


@pytest.fixture
def intents(settings: Settings, topics: TopicNames) -> Iterator[IntentsTopic]:
    """The environment's exits.intents.v1."""
    topic = IntentsTopic(settings)
    yield topic
    topic.close()


@pytest.fixture
def reconcile(settings: Settings, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> Exitflow:
    """The command on the test's servers."""
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", settings.require_exit_database())
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", settings.require_trade_database())
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", settings.kafka_topic_prefix)
    return lambda *more: exitflow("trades", "reconcile", "--json", *more)


def executed(database: Database, intent_id: UUID, trade_id: UUID) -> None:
    """Store a fill of the exit side."""
    with psycopg.connect(database.admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as admin:
        admin.execute(EXECUTED, {"order": str(intent_id), "intent": intent_id, "trade": trade_id})


def told(database: Database, topics: TopicNames, event: ExitIntentFilled) -> None:
    """Write an event as the exit side does."""
    engine = open_engine(database.exit_url, "exit_qualification", application="test")
    Writer(engine, topics).tell(event)
    engine.dispose()


@pytest.mark.apache
def test_fill_removed_unread_is_retold_and_gap_acknowledged(
    settings: Settings,
    relay_settings: Settings,
    topics: TopicNames,
    database: Database,
    trade_engine: Engine,
    intents: IntentsTopic,
    reconcile: Exitflow,
) -> None:
    trade = open_trade(trade_engine)
    intent = Intent(trade)
    with consuming(settings, trade_engine) as health:
        wait_until(health.is_ready, "it is ready")
    executed(database, intent.intent_id, trade.trade_id)
    told(database, topics, intent.filled(execution()))
    waits = json.loads(reconcile("--dry-run").out)
    assert [each["remedy"] for each in waits["missing"]] == ["wait"]
    partition = home_partition(str(trade.trade_id), settings.topic_partitions)
    with running_relay(relay_settings.model_copy(update={"relay_outboxes": "exit"})):
        wait_until(lambda: json.loads(reconcile("--dry-run").out)["missing"][0]["remedy"] == "republish", "published")
    remove_records(settings, intents.name, partition, 1)
    with consuming(settings, trade_engine) as health:
        await_problem(health, "missed 1 record", "exitflow trades reconcile")
        assert stored(trade_engine, trade.trade_id)["status"] == "OPEN"
        done = reconcile()
        assert done.status == 0, done.err
        await_closed(trade_engine, trade.trade_id)
        wait_until(health.is_ready, "it is ready again")
    assert json.loads(done.out)["republished"] == 1
    assert [row["action"] for row in rows(trade_engine, "SELECT action FROM audit_log")] == ["gaps.acknowledge"]


def test_what_cannot_be_repaired_is_named_and_nothing_is_acknowledged(
    database: Database, trade_engine: Engine, topics: TopicNames, reconcile: Exitflow
) -> None:
    known, unknown = open_trade(trade_engine).trade_id, new_id()
    executed(database, new_id(), known)
    executed(database, new_id(), unknown)
    ended = reconcile()
    assert ended.status == 1
    why = {each["trade_id"]: each["why"] for each in json.loads(ended.out)["left"]}
    assert why[str(known)] == "retention has dropped the event"
    assert "does not know the trade" in why[str(unknown)]
    assert json.loads(ended.out)["acknowledged"] == []


def test_open_trade_known_only_to_exit_side_is_named(
    database: Database, trade_engine: Engine, topics: TopicNames, reconcile: Exitflow
) -> None:
    known, unknown = open_trade(trade_engine).trade_id, new_id()
    with psycopg.connect(database.admin_url) as admin:
        admin.execute("SET session_replication_role = replica")
        for trade_id in (known, unknown):
            admin.execute(JUDGED, [trade_id])
    ended = reconcile("--dry-run")
    assert (ended.status, json.loads(ended.out)["unknown_trades"]) == (1, [str(unknown)])
    assert "does not know 1 open trade of" in ended.err
