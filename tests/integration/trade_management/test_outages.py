"""trade-fills while a dependency is away: nothing is lost, health says why, work goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from deploy.local.kafka.apache import ApacheKafka
from shared.contracts.topics import TopicNames, dead_letter_topic
from shared.ids import new_id
from shared.kafka.clients import open_admin
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.conftest import wanted_kafka
from tests.integration.trade_management.intents_topic import IntentsTopic, consuming
from tests.integration.trade_management.ledger import Intent, emitted, execution, open_trade, stored
from tests.support.servers import Database, running_kafka
from tests.support.waiting import LIMIT_S, wait_until

REFUSAL_LIMIT_S = 90
RESTART_LIMIT_S = 90
"""Client and group find a returned broker only after their own back-offs."""


@contextmanager
def no_connections(database: Database) -> Iterator[None]:
    """While inside, the database takes no connection but a superuser's, and has none."""
    name = psycopg.conninfo.conninfo_to_dict(database.admin_url)["dbname"]
    with psycopg.connect(database.admin_url, autocommit=True) as connection:

        def run(statement: str) -> Any:
            return connection.execute(statement.format(name).encode())

        run('ALTER DATABASE "{}" CONNECTION LIMIT 0')
        run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND usename = 'exitflow_trade'"
        )
        try:
            yield
        finally:
            run('ALTER DATABASE "{}" CONNECTION LIMIT -1')


def test_fills_wait_for_a_database_that_is_down(
    settings: Settings, database: Database, trade_engine: Engine, topics: TopicNames
) -> None:
    intents, trade = IntentsTopic(settings), open_trade(trade_engine)
    with consuming(settings, trade_engine) as health:
        wait_until(health.is_ready, "the consumer is ready")
        with no_connections(database):
            intents.tell(Intent(trade).filled(execution()))
            wait_until(lambda: "fills" in health.problems(), "the consumer says that fills wait")
        intents.wait_until_consumed()
        wait_until(health.is_ready, "the consumer is well again")
    intents.close()
    assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
    assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1


def test_a_dead_letter_that_kafka_refuses_holds_its_batch_back(
    settings: Settings, trade_engine: Engine, topics: TopicNames
) -> None:
    intents, trade = IntentsTopic(settings), open_trade(trade_engine)
    dead = dead_letter_topic(intents.name)
    admin = open_admin(settings)
    admin.delete_topics([dead])[dead].result(LIMIT_S)
    # The controller answers first; until the broker has heard of it, it would still take the dead letter.
    wait_until(lambda: dead not in admin.list_topics(timeout=LIMIT_S).topics, "the dead-letter topic is gone")
    stranger = Intent(trade).filled(execution()).model_copy(update={"trade_id": new_id()})
    with consuming(settings, trade_engine) as health:
        intents.tell(stranger)
        wait_until(lambda: dead in health.problems().get("fills", ""), "the dead letter is refused", REFUSAL_LIMIT_S)
        assert not intents.everything_is_consumed()
        create_topics(settings, [dead])
        wait_until(intents.everything_is_consumed, "the dead letter goes out", REFUSAL_LIMIT_S)
    assert intents.dead_letters()
    intents.close()


@pytest.mark.apache
def test_fills_go_on_after_kafka_was_down(database: Database, trade_engine: Engine, settings: Settings) -> None:
    first, second = open_trade(trade_engine), open_trade(trade_engine)
    with running_kafka(wanted_kafka()) as broker:
        own = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
        create_topics(own, TopicNames(own.kafka_topic_prefix).all_on_cluster())
        intents = IntentsTopic(own)
        with consuming(own, trade_engine) as health:
            intents.tell(Intent(first).filled(execution()))
            intents.wait_until_consumed(RESTART_LIMIT_S)
            assert isinstance(broker, ApacheKafka)
            broker.stop()
            wait_until(lambda: "kafka" in health.problems(), "the consumer says that Kafka is away", RESTART_LIMIT_S)
            broker.start()
            intents.tell(Intent(second).filled(execution()))
            intents.wait_until_consumed(RESTART_LIMIT_S)
            wait_until(health.is_ready, "the consumer is well again", RESTART_LIMIT_S)
        intents.close()
    for trade in (first, second):
        assert stored(trade_engine, trade.trade_id)["status"] == "CLOSED"
        assert emitted(trade_engine, "TradeClosed", trade.trade_id) == 1
