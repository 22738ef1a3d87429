"""trade-fills while its topic changes: it reads on from the present records, and names its possible losses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, text

from shared.contracts.topics import TopicNames
from shared.postgres.engine import open_engine
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, execution, open_trade, rows, stored
from tests.support.servers import Database
from tests.support.topic_changes import create_topic, delete_topic, grow, remove_records
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

pytestmark = pytest.mark.apache


@pytest.fixture
def intents(settings: Settings, topics: TopicNames) -> Iterator[IntentsTopic]:
    """The environment's exits.intents.v1."""
    topic = IntentsTopic(settings)
    yield topic
    topic.close()


def await_problem(health: Health, *words: str) -> None:
    """Wait until health says all of this."""
    wait_until(lambda: all(word in str(health.problems()) for word in words), f"health says {words}")


@contextmanager
def refusing_fills(database: Database) -> Iterator[None]:
    """While inside, the database takes no fill."""
    migrator = open_engine(database.migrator_url, "trade_management", application="test")
    with migrator.begin() as connection:
        connection.execute(text("REVOKE INSERT ON trade_fills FROM exitflow_trade"))
    yield
    with migrator.begin() as connection:
        connection.execute(text("GRANT INSERT ON trade_fills TO exitflow_trade"))
    migrator.dispose()


def await_closed(engine: Engine, trade_id: object) -> None:
    """Wait until the trade is closed."""
    wait_until(lambda: stored(engine, trade_id)["status"] == "CLOSED", "the trade is closed")  # type: ignore[arg-type]  # a UUID


def test_a_replaced_topic_is_reread_and_its_gap_waits(
    settings: Settings,
    trade_engine: Engine,
    intents: IntentsTopic,
    exitflow: Exitflow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = open_trade(trade_engine), open_trade(trade_engine)
    with consuming(settings, trade_engine) as health:
        intents.tell(Intent(first).filled(execution()))
        await_closed(trade_engine, first.trade_id)
        wait_until(health.is_ready, "it is ready")
        delete_topic(settings, intents.name)
        await_problem(health, "no such topics", "exitflow topics create")
        create_topic(settings, intents.name)
        intents.tell(Intent(second).filled(execution()))
        await_closed(trade_engine, second.trade_id)
        await_problem(health, "was replaced", "exitflow trades reconcile", "exitflow gaps acknowledge trade-fills")
    with consuming(settings, trade_engine) as health:  # a restart does not forget it
        await_problem(health, "was replaced")
        monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", settings.require_exit_database())
        monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", settings.require_trade_database())
        [gap] = json.loads(exitflow("gaps", "list", "--json").out)
        assert (gap["consumer"], gap["kind"], gap["topic"]) == ("trade-fills", "topic_replaced", intents.name)
        done = exitflow("gaps", "acknowledge", "trade-fills", "--reason", "reconciled", "--json")
        assert json.loads(done.out) == {"acknowledged": [gap["gap_id"]]}
        wait_until(health.is_ready, "it is ready again")
    assert rows(trade_engine, "SELECT actor, reason FROM audit_log") == [{"actor": "cli", "reason": "reconciled"}]


@pytest.mark.parametrize("is_running", [True, False])
def test_records_removed_unread_are_counted_and_the_rest_is_booked(
    settings: Settings, database: Database, trade_engine: Engine, intents: IntentsTopic, is_running: bool
) -> None:
    trades = [open_trade(trade_engine) for _ in range(4)]
    events = [Intent(trade).filled(execution()) for trade in trades]

    def put(number: int) -> None:
        intents.tell_on(0, events[number])

    with consuming(settings, trade_engine):
        put(0)
        intents.wait_until_consumed()
    if is_running:
        with consuming(settings, trade_engine) as health, refusing_fills(database):
            put(1)
            put(2)
            await_problem(health, "the database does not take it")
            remove_records(settings, intents.name, 0, 3)
            await_problem(health, "missed 2 records")
    else:
        put(1)
        put(2)
        remove_records(settings, intents.name, 0, 3)
    with consuming(settings, trade_engine) as health:
        await_problem(health, "missed 2 records", "exitflow trades reconcile")
        put(3)
        await_closed(trade_engine, trades[3].trade_id)
    [gap] = rows(trade_engine, "SELECT partition, first_offset, missed FROM consumer_gaps")
    assert gap == {"partition": 0, "first_offset": 1, "missed": 2}


def test_partitions_that_are_added_are_read_and_nothing_is_missed(
    settings: Settings, trade_engine: Engine, intents: IntentsTopic
) -> None:
    trade = open_trade(trade_engine)
    with consuming(settings, trade_engine) as health:
        wait_until(health.is_ready, "it is ready")
        grow(settings, settings.topic_partitions + 1, intents.name)
        intents.tell_on(settings.topic_partitions, Intent(trade).filled(execution()))
        await_closed(trade_engine, trade.trade_id)
        wait_until(health.is_ready, "it is ready again")
