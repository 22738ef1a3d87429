"""The foundations of the suite itself."""

from __future__ import annotations

import psycopg
import pytest

from shared.contracts.topics import TopicNames
from shared.kafka.clients import open_admin, partition_counts
from shared.settings import Settings
from tests.support.servers import Database


def test_each_role_reaches_the_test_database(database: Database) -> None:
    for url in (database.exit_url, database.trade_url, database.relay_exit_url, database.migrator_url):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_exit_role_cannot_write_trades(database: Database) -> None:
    with (
        psycopg.connect(database.exit_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM trade_management.trades")


def test_the_topics_of_a_test_are_its_own(settings: Settings, topics: TopicNames) -> None:
    names = topics.all_on_cluster()
    counts = partition_counts(open_admin(settings), names)
    assert counts == dict.fromkeys(names, settings.topic_partitions)
    assert all(name.startswith(settings.kafka_topic_prefix) for name in names)
