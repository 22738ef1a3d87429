"""The real PostgreSQL and Kafka of the tests: started once a session, a fresh database for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql
from sqlalchemy import Connection
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import KafkaChoice, decide
from deploy.local.kafka.tansu import Tansu
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.postgres.unix_account import make_passable, server_account
from deploy.local.processes.ports import free_port
from shared.ids import new_id, new_secret
from shared.postgres import roles
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.migrations import migrate
from shared.postgres.revisions import HISTORIES
from tests.support.memory_disk import make_directory

_TEMPLATE = "exitflow_template"
TEST_PARTITIONS = 4


@dataclass(frozen=True)
class Database:
    """One test's database, both histories at head, as each role reaches it."""

    admin_url: str
    migrator_url: str
    exit_url: str
    trade_url: str
    relay_exit_url: str
    relay_trade_url: str


class Databases:
    """Makes databases on a server by copying a migrated one; close it before the server stops."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server_url = server.admin_url
        self._server = open_engine(self._server_url, "public", application="tests", limits=TOOLS)
        self._passwords = {role: new_secret() for role in roles.ROLES}
        self._execute("CREATE DATABASE {}", _TEMPLATE)
        roles.create_roles(self._url(_TEMPLATE), self._passwords)
        for history in HISTORIES:
            migrate(self._database(_TEMPLATE).migrator_url, history)

    def close(self) -> None:
        """Leave the server."""
        self._server.dispose()

    @contextmanager
    def fresh(self) -> Iterator[Database]:
        """A database of one's own, both histories at head and no rows but theirs; dropped afterwards."""
        # A checkpoint costs a server without durability less than logging every block.
        with self._made("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", _TEMPLATE) as database:
            yield database

    @contextmanager
    def empty(self) -> Iterator[Database]:
        """The same with no migration run."""
        with self._made("CREATE DATABASE {}") as database:
            yield database

    @contextmanager
    def _made(self, statement: str, *names: str) -> Iterator[Database]:
        name = f"test_{new_id().hex}"
        with self._connected() as connection:
            _run(connection, statement, name, *names)
            # Grants on a database are not copied from its template.
            roles.open_database(connection, name)
        try:
            yield self._database(name)
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _database(self, name: str) -> Database:
        admin_url = self._url(name)
        return Database(
            admin_url=admin_url,
            migrator_url=self._as(roles.MIGRATOR, admin_url),
            exit_url=self._as(roles.EXIT, admin_url),
            trade_url=self._as(roles.TRADE, admin_url),
            relay_exit_url=self._as(roles.RELAY, admin_url),
            relay_trade_url=self._as(roles.RELAY, admin_url),
        )

    def _url(self, name: str) -> str:
        return self._server_url.rpartition("/")[0] + f"/{name}"

    def _as(self, role: str, url: str) -> str:
        return roles.with_role(url, role, self._passwords[role])

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def _execute(self, statement: str, *names: str) -> None:
        with self._connected() as connection:
            _run(connection, statement, *names)


def _run(connection: Connection, statement: str, *names: str) -> None:
    connection.exec_driver_sql(sql.SQL(statement).format(*map(sql.Identifier, names)).as_string(None))


@contextmanager
def server_directory(purpose: str) -> Iterator[Path]:
    """A temporary directory open to the servers' account; removed afterwards."""
    directory = make_directory(purpose)
    try:
        make_passable(directory, server_account())
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def running_postgres() -> Iterator[EmbeddedPostgres]:
    """A server of one's own without durability, stopped and removed afterwards."""
    with server_directory("postgres") as directory:
        server = EmbeddedPostgres(
            directory,
            free_port(str(directory)),
            new_secret(),
            durable=False,
            # Tests connect thousands of times; hashing a password as often as production does would take minutes.
            settings={"max_prepared_transactions": "64", "scram_iterations": "1"},
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_kafka(wanted: KafkaChoice) -> Iterator[Broker]:
    """A broker of one's own, stopped and removed afterwards."""
    with server_directory("kafka") as directory:
        broker = make_broker(wanted, directory)
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


def make_broker(wanted: KafkaChoice, directory: Path) -> ApacheKafka | Tansu:
    """The broker behind `wanted` on this machine, with its data in `directory`."""
    port = free_port(str(directory))
    if decide(wanted).kafka is KafkaChoice.TANSU:
        return Tansu(directory, port)
    return ApacheKafka(directory, port, free_port(str(directory), avoid={port}))


@retry(stop=stop_after_attempt(4), retry=retry_if_exception_type((TimeoutError, KafkaException)), reraise=True)
def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Delete every topic with a name beginning with `prefix`; a broker back from a stop may forget to answer."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=15).topics if name.startswith(prefix)]
    for future in (admin.delete_topics(names) if names else {}).values():
        future.result(timeout=15)
