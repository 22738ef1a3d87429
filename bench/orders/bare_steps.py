"""`python -m bench.orders.bare_steps ROLE`: one process of the bare chain, see `bench.orders.bare_chain`.

Servers come in the environment, because a URL has a password. A process writes a line once it is ready.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, LiteralString

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from shared.runtime.stopping import exit_on_sigterm

DATABASE, KAFKA, BROKER_PORT = "BARE_DATABASE", "BARE_KAFKA", "BARE_BROKER_PORT"
"""Names of the environment."""

READY = "ready"
"""The first line of a process that others may call."""

SCHEMA = "bench_bare"
TICKS, FILLS, CLOSED = "bench.bare.ticks", "bench.bare.fills", "bench.bare.closed"
SESSION = f"-c search_path={SCHEMA} -c plan_cache_mode=force_generic_plan -c jit=off"

TABLES: LiteralString = """
CREATE SCHEMA bench_bare;
SET search_path = bench_bare;
CREATE TABLE trades (id text PRIMARY KEY, status text NOT NULL DEFAULT 'OPEN');
CREATE TABLE exits (id text PRIMARY KEY, status text NOT NULL);
CREATE TABLE fills (id text PRIMARY KEY);
CREATE TABLE closures (id text PRIMARY KEY);
CREATE TABLE events (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key text NOT NULL);
"""
LOCK_TRADE: LiteralString = "SELECT id FROM trades WHERE id = %(id)s FOR UPDATE"
LOCK_EXIT: LiteralString = "SELECT id FROM exits WHERE id = %(id)s FOR UPDATE"
EVENT: LiteralString = "INSERT INTO events (topic, key) VALUES (%(topic)s, %(id)s)"
TELL_RELAY: LiteralString = "SELECT pg_notify('bare_events', '')"
APPROVE: Sequence[LiteralString] = (
    "INSERT INTO exits VALUES (%(id)s, 'APPROVED')",
    "SELECT pg_notify('bare_exits', %(id)s)",
)
SUBMIT: Sequence[LiteralString] = ("UPDATE exits SET status = 'SUBMITTING' WHERE id = %(id)s",)
RECORD: Sequence[LiteralString] = (
    "INSERT INTO fills VALUES (%(id)s)",
    "UPDATE exits SET status = 'FILLED' WHERE id = %(id)s",
    EVENT,
    TELL_RELAY,
)
CLOSE: Sequence[LiteralString] = (
    "INSERT INTO closures VALUES (%(id)s)",
    "UPDATE trades SET status = 'CLOSED' WHERE id = %(id)s",
    EVENT,
    TELL_RELAY,
)
NEWS: LiteralString = "SELECT n, topic, key FROM events WHERE n > %s ORDER BY n"
ORDER: Final = b"tradingsymbol=INFY&quantity=10&transaction_type=SELL&order_type=MARKET&product=MIS"
ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def evaluate() -> None:
    """Write an exit for each tick."""
    database, ticks = _connect(), _consumer(TICKS)
    _is_ready()
    for key in _keys(ticks):
        _write(database, LOCK_TRADE, APPROVE, {"id": key})


def execute() -> None:
    """Claim each exit, call the broker twice, record the fill."""
    database, exits = _connect(), _listener("bare_exits")
    broker = http.client.HTTPConnection("127.0.0.1", int(os.environ[BROKER_PORT]))
    _is_ready()
    for told in exits.notifies():
        _write(database, LOCK_EXIT, SUBMIT, {"id": told.payload})
        _call(broker, "POST", ORDER)
        _call(broker, "GET", None)
        _write(database, LOCK_EXIT, RECORD, {"id": told.payload, "topic": FILLS})


def answer() -> None:
    """Answer every request; put an order on the disk before."""
    with tempfile.TemporaryFile() as ledger:
        asyncio.run(_serve(ledger.fileno()))


def publish() -> None:
    """Publish each event once it is committed."""
    database, commits, last = _connect(), _listener("bare_events"), 0
    producer = Producer({"bootstrap.servers": os.environ[KAFKA], "linger.ms": 0, "enable.idempotence": True})
    producer.list_topics(timeout=10)
    _is_ready()
    for _ in commits.notifies():
        with database.transaction():
            rows = database.execute(NEWS, (last,)).fetchall()
        for number, topic, key in rows:
            producer.produce(topic, key.encode(), key)
            last = number
        producer.poll(0)


def close() -> None:
    """Close the trade of each fill."""
    database, fills = _connect(), _consumer(FILLS)
    _is_ready()
    for key in _keys(fills):
        _write(database, LOCK_TRADE, CLOSE, {"id": key, "topic": CLOSED})


ROLES: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {role.__name__: role for role in (evaluate, execute, answer, publish, close)}
)


def _is_ready() -> None:
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


def _connect() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ[DATABASE], options=SESSION, prepare_threshold=0)


def _listener(channel: LiteralString) -> psycopg.Connection[Any]:
    connection = psycopg.connect(os.environ[DATABASE], autocommit=True)
    connection.execute(f"LISTEN {channel}")
    return connection


def _consumer(topic: str) -> Consumer:
    consumer = Consumer(
        {"bootstrap.servers": os.environ[KAFKA], "group.id": f"bare-{topic}", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    return consumer


def _keys(consumer: Consumer) -> Iterator[str]:
    while True:
        message = consumer.poll(1)
        if message is None:
            continue
        if (error := message.error()) is not None:
            raise KafkaException(error)
        yield (message.key() or b"").decode()


def _write(
    database: psycopg.Connection[Any], lock: LiteralString, rows: Sequence[LiteralString], values: dict[str, str]
) -> None:
    """Lock a row, and write the rest and commit with one wait more."""
    database.execute(lock, values)
    with database.pipeline():
        for statement in rows:
            database.execute(statement, values)
        database.commit()


def _call(broker: http.client.HTTPConnection, method: str, body: bytes | None) -> None:
    broker.request(method, "/orders/regular", body)
    broker.getresponse().read()


async def _serve(ledger: int) -> None:
    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            if data.startswith(b"POST"):
                os.write(ledger, data)
                os.fdatasync(ledger)
            self._transport.write(ANSWER)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", int(os.environ[BROKER_PORT]))
    _is_ready()
    await server.serve_forever()


if __name__ == "__main__":
    exit_on_sigterm()
    ROLES[sys.argv[1]]()
