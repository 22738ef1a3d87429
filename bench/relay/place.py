"""Place of one measurement: a separate database and topic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from bench.relay.records import PARTITIONS
from bench.relay.servers import Servers
from shared.ids import new_id

KAFKA_LIMIT_S = 30


@dataclass(frozen=True)
class Place:
    """A fresh database, a fresh topic, a directory for logs."""

    name: str
    database_url: str
    bootstrap_servers: str
    topic: str
    directory: Path


@contextmanager
def fresh_place(servers: Servers, purpose: str) -> Iterator[Place]:
    """Create a place; remove its database, replication slots and topic afterwards."""
    name = f"bench_{new_id().hex}"
    directory = servers.directory / f"{purpose}-{name}"
    directory.mkdir()
    admin = AdminClient({"bootstrap.servers": servers.bootstrap_servers, "log_level": 4})
    _execute(servers, "CREATE DATABASE {}", name)
    try:
        _create_topic(admin, name)
        database_url = servers.admin_url.rpartition("/")[0] + f"/{name}"
        yield Place(name, database_url, servers.bootstrap_servers, name, directory)
    finally:
        _drop_slots(servers, name)
        _execute(servers, "DROP DATABASE {} WITH (FORCE)", name)
        for deleted in admin.delete_topics([name]).values():
            deleted.exception(timeout=KAFKA_LIMIT_S)


def _create_topic(admin: AdminClient, name: str) -> None:
    # The broker's own time on every record: when it was appended, by one clock for all candidates.
    config = {"message.timestamp.type": "LogAppendTime"}
    wanted = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=config)
    admin.create_topics([wanted])[name].result(timeout=KAFKA_LIMIT_S)
    _await_leaders(admin, name)


@retry(stop=stop_after_delay(KAFKA_LIMIT_S), wait=wait_fixed(0.1), retry=retry_if_exception_type(KafkaException))
def _await_leaders(admin: AdminClient, topic: str) -> None:
    """Wait for leaders: a new topic's partitions have none for a while."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no annotations
    wanted = {TopicPartition(topic, n): latest for n in range(PARTITIONS)}
    for found in admin.list_offsets(wanted, request_timeout=KAFKA_LIMIT_S).values():
        found.result(timeout=KAFKA_LIMIT_S)


def _drop_slots(servers: Servers, database: str) -> None:
    with psycopg.connect(servers.admin_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
            " WHERE database = %s AND active_pid IS NOT NULL",
            (database,),
        )
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", (database,)
        )


def _execute(servers: Servers, statement: str, name: str) -> None:
    with psycopg.connect(servers.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
