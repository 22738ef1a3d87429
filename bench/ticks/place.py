"""One measurement's database and topics, and the programs of this project on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg
from confluent_kafka import Producer
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from bench.relay.servers import Servers
from bench.relay.usage import cpu_seconds
from bench.ticks.market import ENTRY, Mood, Step, money, only_tick, payload, plan_of, symbol_name, trade_id
from deploy.local.postgres.socket import by_socket
from deploy.local.processes.child import Child, Command, clean_environment
from shared.contracts.topics import EXIT_INTENTS, MARKET_TICKS, TopicNames
from shared.errors import Unavailable
from shared.ids import new_id, new_secret
from shared.instants import EPOCH
from shared.kafka.clients import home_partition
from shared.kafka.topic_changes import create_topics
from shared.money import SCALE
from shared.outbox.signatures import new_signing_key, signer_of
from shared.postgres import roles
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 12
TARGET = ENTRY + 10 * SCALE
"""Price at which the trades of `copy_same` exit."""

STOP_LIMIT_S = 30
LIMIT_S = 120
_PROGRAM = "from services.cli.main import main; main()"
_COPY = """
COPY exit_qualification.open_trades (trade_id, symbol, partition, user_broker_id, direction, product_type, quantity,
                                     entry_price, exit_plan, entered_at, entered_tick) FROM STDIN
"""

_TEMPLATE = "bench_template"
_CONNECT_BROKER = "INSERT INTO user_brokers VALUES ('paper', 'kite', 'AB1', 'http://127.0.0.1', 'CONNECTED')"
_WRITTEN = """
SELECT i.symbol, extract(epoch FROM e.created_at)
  FROM exit_intents i JOIN outbox_event e ON e.ce_subject = i.intent_id::text
"""


Usage = dict[str, float]
"""CPU seconds by process."""


@dataclass(frozen=True)
class Place:
    """A migrated database, separate topics, and the environment of the programs.

    Attributes
    ----------
    servers:
        Process ids of PostgreSQL and Kafka.
    """

    admin_url: str
    relay_url: str
    settings: Settings
    environment: dict[str, str]
    directory: Path
    servers: Mapping[str, int]

    @property
    def ticks(self) -> str:
        """Return the topic of ticks."""
        return TopicNames(self.settings.kafka_topic_prefix).on_cluster(MARKET_TICKS)

    @property
    def intents(self) -> str:
        """Return the topic of intents."""
        return TopicNames(self.settings.kafka_topic_prefix).on_cluster(EXIT_INTENTS)

    def producer(self, linger_ms: int = 1) -> Producer:
        """Return a producer; it fills larger batches the longer it lingers."""
        return Producer(
            {
                "bootstrap.servers": self.settings.kafka_bootstrap_servers,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": linger_ms,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def connect(self) -> psycopg.Connection:
        """Open the database as its administrator."""
        return psycopg.connect(self.admin_url, autocommit=True, options="-c search_path=exit_qualification")

    @contextmanager
    def working(self) -> Iterator[Callable[[], Usage]]:
        """Run a worker and a relay while inside; they hold their partitions and shards. Yield their use of CPU."""
        with (
            self.running("exit-ticks") as worker,
            self.running("relay", EXITFLOW_EXIT_DATABASE_URL=self.relay_url) as relay,
        ):
            self._await("SELECT count(owner) = %s FROM tick_partitions", PARTITIONS)
            self._await("SELECT count(owner) = count(*) AND %s > 0 FROM outbox_shard", 1)
            pids = {"worker": worker.pid, "relay": relay.pid, **self.servers}
            yield lambda: {name: cpu_seconds([pid]) for name, pid in pids.items()}

    def await_ticks(self, ticks: int) -> None:
        """Wait until the worker has stored the offsets of so many ticks."""
        self._await("SELECT sum(tick_offset) >= %s FROM tick_partitions", ticks)

    @retry(stop=stop_after_delay(LIMIT_S), wait=wait_fixed(0.05), retry=retry_if_exception_type(Unavailable))
    def _await(self, condition: LiteralString, value: int) -> None:
        with self.connect() as connection:
            row = connection.execute(condition, (value,)).fetchone()
        if row != (True,):
            raise Unavailable(f"still waiting for {condition} with {value}")

    def written_at(self) -> dict[str, float]:
        """Return when the event of each symbol's approved exit was written, in seconds since 1970."""
        with self.connect() as connection:
            rows = connection.execute(_WRITTEN).fetchall()
        return {symbol: float(written) for symbol, written in rows}

    @contextmanager
    def running(self, process: str, **changes: str) -> Iterator[Child]:
        """Run a process of this project while inside."""
        log = self.directory / f"{process}-{new_id().hex}.log"
        environment = self.environment | changes
        child = Child(Command([sys.executable, "-c", _PROGRAM, "run", process], log, ROOT, environment))
        try:
            yield child
        finally:
            child.ask_to_stop()
            child.stop(STOP_LIMIT_S)


class Places:
    """Places on one pair of servers. Their databases are copies of one, migrated once."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._passwords = {role: new_secret() for role in roles.ROLES}
        self._execute("CREATE DATABASE {}", _TEMPLATE)
        template_url = self._url(_TEMPLATE)
        roles.create_roles(template_url, self._passwords)
        migrate(self._as(roles.MIGRATOR, template_url), EXIT_QUALIFICATION)

    @contextmanager
    def fresh(self) -> Iterator[Place]:
        """Create a database and topics; remove the database afterwards."""
        name = f"bench_{new_id().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, _TEMPLATE)
        try:
            yield self._prepared(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def _prepared(self, name: str) -> Place:
        admin_url = self._url(name)
        roles.create_roles(admin_url, self._passwords)
        told = self._settings(name, admin_url)
        settings = Settings.model_validate(told)
        create_topics(settings, TopicNames(settings.kafka_topic_prefix).all_on_cluster())
        directory = self._servers.directory / name
        directory.mkdir()
        environment = clean_environment(**{f"EXITFLOW_{setting.upper()}": value for setting, value in told.items()})
        pids = {"postgres": self._servers.postgres_pid, "kafka": self._servers.kafka_pid}
        place = Place(admin_url, self._service_url(roles.RELAY, admin_url), settings, environment, directory, pids)
        with place.connect() as connection:
            connection.execute("UPDATE rollout SET mode = 'full'")
            connection.execute(_CONNECT_BROKER)
        return place

    def _settings(self, name: str, admin_url: str) -> dict[str, str]:
        key = new_signing_key()
        public = signer_of(key, "the bench's key").public_pem()
        return {
            "exit_database_url": self._service_url(roles.EXIT, admin_url),
            "kafka_bootstrap_servers": self._servers.bootstrap_servers,
            "kafka_topic_prefix": f"{name}.",
            "kafka_consumer_prefix": name,
            "kafka_session_timeout_s": "30",
            "event_signing_key": key,
            "exit_event_keys": public,
            "trade_event_keys": public,
            "relay_outboxes": "exit",
        }

    def _url(self, name: str) -> str:
        return self._servers.admin_url.rpartition("/")[0] + f"/{name}"

    def _service_url(self, role: str, url: str) -> str:
        """Return the URL as services of a local stack have it."""
        return by_socket(self._as(role, url), self._servers.postgres_socket)

    def _as(self, role: str, url: str) -> str:
        return roles.with_role(url, role, self._passwords[role])

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self._servers.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def fill_book(place: Place, trades: int, mood: Mood) -> None:
    """Copy open trades into the projection, spread over all symbols."""
    homes = [home_partition(symbol_name(number), PARTITIONS) for number in range(1000)]
    with place.connect() as connection, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for number in range(trades):
            symbol = number % 1000
            plan = json.dumps(plan_of(number, mood))
            row = (trade_id(number), symbol_name(symbol), homes[symbol], "paper", "LONG", "MIS", 100)
            copy.write_row((*row, money(ENTRY), plan, EPOCH, 0))
    _analyze(place)


def copy_same(place: Place, trades: int, symbol: str) -> None:
    """Copy open trades of one symbol, with `TARGET`."""
    home = home_partition(symbol, PARTITIONS)
    with place.connect() as connection, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for _ in range(trades):
            row = (new_id(), symbol, home, "paper", "LONG", "MIS", 100)
            copy.write_row((*row, money(ENTRY), json.dumps({"target": money(TARGET)}), EPOCH, 0))
    _analyze(place)


def one_of_each_partition(prefix: str) -> dict[int, str]:
    """Return a symbol for each partition, with names that begin alike."""
    found: dict[int, str] = {}
    for number in count():
        if len(found) == PARTITIONS:
            return found
        found.setdefault(home_partition(f"{prefix}{number}", PARTITIONS), f"{prefix}{number}")
    raise AssertionError("numbers do not end")


def send_named(place: Place, symbols: Iterable[str], price: int) -> None:
    """Put the first tick of each symbol on the topic; return once all are acknowledged."""
    producer = place.producer()
    for symbol in symbols:
        producer.produce(place.ticks, only_tick(symbol, price), symbol)
    producer.flush(60)


def send(place: Place, ticks: Iterator[Step]) -> int:
    """Put ticks on the topic; return how many, once all are acknowledged."""
    producer = place.producer()
    topic = place.ticks
    sent = 0
    for step in ticks:
        sent += 1
        while True:
            try:
                producer.produce(topic, payload(step), symbol_name(step.symbol))
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)
    return sent


def _analyze(place: Place) -> None:
    with place.connect() as connection:
        connection.execute("VACUUM (ANALYZE) open_trades")
