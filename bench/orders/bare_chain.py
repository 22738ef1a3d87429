"""The machine's own limit for a steady exit: the steps that no exit can do without, and nothing else.

Five processes pass each tick on: three ways through Kafka, four transactions with a commit, two calls to a broker. They
know no rule, no gate, no signature, no other trade, and they could not be restarted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.orders import bare_steps
from bench.orders.system import System
from bench.percentiles import percentile
from deploy.local.processes.child import Child, Command, clean_environment, last_lines
from deploy.local.processes.ports import free_port
from shared.clock import SystemClock
from shared.errors import Unavailable

ROOT = Path(__file__).parents[2]
WARM_UP = 20
"""Exits before those measured."""
LIMIT_S = 60
STOP_S = 5
LOOK_S = 0.02


@dataclass(frozen=True)
class BareChain:
    """Milliseconds from a tick to its last record."""

    p50_ms: float
    p99_ms: float


def measure_bare_chain(system: System, per_s: float, count: int) -> BareChain:
    """Send so many ticks a second through the chain, on the servers of the system, and remove its traces.

    Raises
    ------
    Unavailable
        A process did not become ready, or a record did not come.
    """
    keys = [f"bare{n}" for n in range(WARM_UP + count)]
    with _places(system, keys), _processes(system):
        waits_ms = _send_all(system.bootstrap_servers, keys, per_s)[WARM_UP:]
    return BareChain(statistics.median(waits_ms), percentile(sorted(waits_ms), 0.99))


def _send_all(servers: str, keys: list[str], per_s: float) -> list[float]:
    """Send a tick for each key and return the milliseconds until its last record, in their order."""
    clock, sent, seen = SystemClock(), dict[str, float](), dict[str, float]()
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0, "enable.idempotence": True})
    producer.list_topics(timeout=LIMIT_S)
    began = clock.monotonic()
    until = began + len(keys) / per_s + LIMIT_S
    reading = threading.Thread(target=_read, args=(servers, len(keys), seen, until), daemon=True)
    reading.start()
    for nth, key in enumerate(keys):
        threading.Event().wait(max(0.0, began + nth / per_s - clock.monotonic()))
        sent[key] = clock.monotonic()
        producer.produce(bare_steps.TICKS, b"", key)
        producer.poll(0)
    producer.flush(LIMIT_S)
    reading.join(LIMIT_S)
    if len(seen) < len(keys):
        raise Unavailable(f"{len(keys) - len(seen)} of {len(keys)} ticks did not come through the bare chain")
    return [1000 * (seen[key] - sent[key]) for key in keys]


def _read(servers: str, count: int, seen: dict[str, float], until: float) -> None:
    """Note when each last record could be read, by the monotonic clock, which also ends the reading."""
    clock = SystemClock()
    reader = Consumer({"bootstrap.servers": servers, "group.id": "bare-reader", "enable.auto.commit": False})
    reader.assign([TopicPartition(bare_steps.CLOSED, 0, OFFSET_BEGINNING)])
    while len(seen) < count and clock.monotonic() < until:
        message = reader.poll(0.5)
        if message is not None and message.error() is None:
            seen[(message.key() or b"").decode()] = clock.monotonic()
    reader.close()


@contextmanager
def _places(system: System, keys: list[str]) -> Iterator[None]:
    """Make the tables, with a trade for each key, and the topics, and remove them afterwards."""
    topics = [bare_steps.TICKS, bare_steps.FILLS, bare_steps.CLOSED]
    admin = AdminClient({"bootstrap.servers": system.bootstrap_servers})
    with psycopg.connect(system.admin_url, autocommit=True) as connection:
        connection.execute(bare_steps.TABLES)
        try:
            connection.execute("INSERT INTO trades (id) SELECT unnest(%s::text[])", (keys,))
            for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
                made.result(LIMIT_S)
            yield
        finally:
            connection.execute("DROP SCHEMA bench_bare CASCADE")
            for removed in admin.delete_topics(topics).values():
                removed.result(LIMIT_S)


@contextmanager
def _processes(system: System) -> Iterator[None]:
    """Run the processes of the chain; the broker is ready before its client."""
    environment = clean_environment() | {
        bare_steps.DATABASE: system.admin_url,
        bare_steps.KAFKA: system.bootstrap_servers,
        bare_steps.BROKER_PORT: str(free_port("bare broker")),
    }
    with ExitStack() as cleanup:
        logs = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="exitflow-bench-bare-")))
        for role in ("answer", "evaluate", "execute", "publish", "close"):
            argv = [sys.executable, "-m", "bench.orders.bare_steps", role]
            child = Child(Command(argv, logs / f"{role}.log", ROOT, environment))
            cleanup.callback(child.stop, STOP_S)
            _await_ready(child, role)
        yield


def _await_ready(child: Child, role: str) -> None:
    clock = SystemClock()
    until = clock.monotonic() + LIMIT_S
    while (told := last_lines(child.command.log_file)) != bare_steps.READY:
        if child.exit_status is not None or clock.monotonic() > until:
            raise Unavailable(f"process {role} of the bare chain did not start: {told}")
        threading.Event().wait(LOOK_S)
