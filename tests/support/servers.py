"""The real PostgreSQL and Kafka that tests run on: started once a session, a fresh database for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql
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
    """Makes databases on a server by copying a migrated one."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server_url = server.admin_url
        self._passwords = {role: new_secret() for role in roles.ROLES}
        self._execute("CREATE DATABASE {}", _TEMPLATE)
        roles.create_roles(self._server_url, self._passwords)
        template = self._open(_TEMPLATE)
        for history in HISTORIES:
            migrate(template.migrator_url, history)

    @contextmanager
    def fresh(self) -> Iterator[Database]:
        """A database of one's own, both histories at head and no rows but theirs; dropped afterwards."""
        name = f"test_{new_id().hex}"
        # A checkpoint costs a server without durability less than logging every block.
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _TEMPLATE)
        try:
            yield self._open(name)
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    @contextmanager
    def empty(self) -> Iterator[Database]:
        """The same with no migration run."""
        name = f"test_{new_id().hex}"
        self._execute("CREATE DATABASE {}", name)
        try:
            yield self._open(name)
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _open(self, name: str) -> Database:
        admin_url = self._server_url.rpartition("/")[0] + f"/{name}"
        # What a database grants is not copied from its template.
        roles.open_database(admin_url)
        url = partial(self._url, admin_url)
        return Database(
            admin_url=admin_url,
            migrator_url=url(roles.MIGRATOR),
            exit_url=url(roles.EXIT),
            trade_url=url(roles.TRADE),
            relay_exit_url=url(roles.RELAY),
            relay_trade_url=url(roles.RELAY),
        )

    def _url(self, admin_url: str, role: str) -> str:
        return roles.with_role(admin_url, role, self._passwords[role])

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def server_directory(purpose: str) -> Iterator[Path]:
    """A temporary directory that the account servers run as can pass through; removed afterwards."""
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
    """The broker that `wanted` comes to on this machine, with its data in `directory`."""
    port = free_port(str(directory))
    if decide(wanted).kafka is KafkaChoice.TANSU:
        return Tansu(directory, port)
    return ApacheKafka(directory, port, free_port(str(directory), avoid={port}))


@retry(stop=stop_after_attempt(4), retry=retry_if_exception_type((TimeoutError, KafkaException)), reraise=True)
def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Delete every topic whose name begins with `prefix`; a broker that has just stood still may forget to answer."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=15).topics if name.startswith(prefix)]
    for future in (admin.delete_topics(names) if names else {}).values():
        future.result(timeout=15)
