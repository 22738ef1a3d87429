"""A database without connections, or read-only, for a while: each process says so, lives on and comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import KafkaChoice
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.stack import stack
from deploy.local.stack.stack import StackOptions
from shared.ids import new_id
from shared.postgres import roles
from shared.settings import load_settings
from tests.chaos.stack.extent import IS_CHAOS
from tests.support.servers import delete_topics, running_postgres, server_directory
from tests.support.waiting import wait_until

LIMIT_S = 60

pytestmark = [
    pytest.mark.skipif(not IS_CHAOS, reason="starts a stack of its own: make chaos"),
    pytest.mark.timeout(600),
]

USE_IT = ("exit-ticks", "exit-orders", "exit-api", "trade-fills", "trade-api", "relay")
WRITE_WHEN_IDLE = ("exit-orders", "relay")
SERVICE_ROLES = (roles.EXIT, roles.TRADE, roles.RELAY)


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory("scarce") as path:
        yield path


@pytest.fixture
def data_dir(
    server: EmbeddedPostgres, kafka: Broker, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Every process of the product on a PostgreSQL of the test's own and the session's Kafka."""
    prefix, said = f"t{new_id().hex}.", list[str]()
    for name, value in {
        "ADMIN_DATABASE_URL": server.admin_url,
        "EXIT_DATABASE_URL": roles.with_role(server.admin_url, roles.EXIT, "one"),
        "TRADE_DATABASE_URL": roles.with_role(server.admin_url, roles.TRADE, "two"),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": prefix,
    }.items():
        monkeypatch.setenv(f"EXITFLOW_{name}", value)
    load_settings.cache_clear()
    assert stack.up_detached(StackOptions(directory, KafkaChoice.EXTERNAL), said.append) == 0, "\n".join(said)
    yield directory
    assert stack.down(directory, said.append) == 0, "\n".join(said)
    load_settings.cache_clear()
    delete_topics(kafka.bootstrap_servers, prefix)


def test_processes_survive_connection_shortage_and_read_only_database(server: EmbeddedPostgres, data_dir: Path) -> None:
    before = {one.name: one.pid for one in stack.status(data_dir).processes}

    def limit_connections(limit: int) -> None:
        for role in SERVICE_ROLES:
            _run(server, sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(sql.Identifier(role), limit))

    def read_only(on: bool) -> None:
        for role in SERVICE_ROLES:
            statement = "ALTER ROLE {} SET default_transaction_read_only = {}"
            _run(server, sql.SQL(statement).format(sql.Identifier(role), "on" if on else "off"))

    limit_connections(0)
    _wait_until_all_say(server, data_dir, "too many connections", USE_IT)
    limit_connections(-1)
    _wait_until_ready(server, data_dir)
    read_only(True)
    _wait_until_all_say(server, data_dir, "read-only", WRITE_WHEN_IDLE)
    read_only(False)
    _wait_until_ready(server, data_dir)
    after = {one.name: one.pid for one in stack.status(data_dir).processes}
    assert after == before, "none of them ended"


def _wait_until_all_say(server: EmbeddedPostgres, data_dir: Path, what: str, names: Sequence[str]) -> None:
    _end_connections(server)

    def all_say() -> bool:
        said = {one.name: one.problem for one in stack.status(data_dir).processes}
        return all(what in said[name] for name in names)

    wait_until(all_say, f"{what}, said by {', '.join(names)}", LIMIT_S)


def _wait_until_ready(server: EmbeddedPostgres, data_dir: Path) -> None:
    _end_connections(server)
    wait_until(lambda: stack.status(data_dir).ready, "readiness of every process", LIMIT_S)


def _end_connections(server: EmbeddedPostgres) -> None:
    _run(server, sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'exitflow_%'"))


def _run(server: EmbeddedPostgres, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute(statement)
