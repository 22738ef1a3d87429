"""A market on real Kafka, tick workers in a thread or a separate process, and the rows written by them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from sqlalchemy import Engine, text

from services.exit_qualification.ticks.process import build_worker, open_database
from services.exit_qualification.ticks.worker import CONDITIONS
from shared.contracts.events import Event
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.contracts.trades import TradeOpened
from shared.ids import new_id
from shared.kafka.clients import Headers, flush_or_fail, murmur2_partition, open_producer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.support.product_process import ProductProcess, run
from tests.support.signing import signed
from tests.support.trades import closed
from tests.support.waiting import LIMIT_S, wait_until

INFY = "NSE:INFY"


class Market:
    """Puts ticks and trades on Kafka, as other teams do."""

    def __init__(self, settings: Settings, topics: TopicNames) -> None:
        self.settings = settings
        self.ticks = topics.on_cluster(MARKET_TICKS)
        self.trades = topics.on_cluster(TRADES)
        self._producer = open_producer(settings)
        self._seq = 0

    def open(self, *events: TradeOpened) -> None:
        """Trades are opened."""
        self.say(*events)

    def say(self, *events: Event) -> None:
        """Publish events of trades as the relay does."""
        for event in events:
            headers: Headers = [*self._headers(event).items()]
            self._producer.produce(self.trades, key=event.key, value=event.payload(), headers=headers)
        flush_or_fail(self._producer)

    def _headers(self, event: Event) -> dict[str, str]:
        return signed(self.trades, event.key, event.payload(), {"ce_type": event.event_type()})

    def forge(self, event: Event) -> None:
        """A stranger publishes an event of a trade."""
        headers: Headers = [("ce_type", event.event_type().encode()), ("ce_id", str(new_id()).encode())]
        self._producer.produce(self.trades, key=event.key, value=event.payload(), headers=headers)
        flush_or_fail(self._producer)

    def open_on(self, partition: int, event: TradeOpened) -> None:
        """A trade is opened, and said so on this partition."""
        headers: Headers = [*self._headers(event).items()]
        self._producer.produce(self.trades, key=event.key, value=event.payload(), headers=headers, partition=partition)
        flush_or_fail(self._producer)

    def close(self, event: TradeOpened) -> None:
        """A trade is closed."""
        self.say(closed(event))

    def tick(self, price: str, symbol: str = INFY, producer: Producer | None = None, **changes: Any) -> None:
        """A symbol trades; each tick is newer than the one before."""
        self._seq += 1
        tick = {"symbol": symbol, "ltp": price, "ts": "2026-01-13T03:45:00Z", "seq": self._seq} | changes
        self.put(json.dumps(tick).encode(), symbol, producer)

    def put(
        self, value: bytes, symbol: str = INFY, producer: Producer | None = None, headers: Headers | None = None
    ) -> None:
        """A record with this value where the symbol's ticks belong."""
        chosen = producer or self._producer
        chosen.produce(self.ticks, key=symbol, value=value, headers=headers or [])
        flush_or_fail(chosen)

    def partition(self, symbol: str = INFY) -> int:
        """Where the symbol's ticks and trades meet."""
        return murmur2_partition(symbol.encode(), self.settings.topic_partitions)

    def records(self, topic: str) -> list[Message]:
        """Everything on a topic now."""
        consumer = Consumer({"bootstrap.servers": self.settings.kafka_bootstrap_servers, "group.id": "reader"})
        try:
            return [each for p in range(self.settings.topic_partitions) for each in _read(consumer, topic, p)]
        finally:
            consumer.close()


def _read(consumer: Consumer, topic: str, partition: int) -> Iterator[Message]:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=LIMIT_S)
    consumer.assign([TopicPartition(topic, partition, 0)])
    position = 0
    while position < end:
        for message in consumer.consume(1000, 0.2):
            assert message.error() is None, message.error()
            position = (message.offset() or 0) + 1
            yield message


@dataclass
class Book:
    """The rows in the database."""

    engine: Engine

    def rows(self, query: str, **values: Any) -> list[Any]:
        """The rows of a query."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, query: str, **values: Any) -> Any:
        """The one value of a query."""
        return self.rows(query, **values)[0][0]

    def execute(self, statement: str, **values: Any) -> None:
        """Change something and commit."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def signals(self) -> list[Any]:
        """Every signal, in the order they were written."""
        return self.rows("SELECT * FROM exit_signals ORDER BY created_at, signal_id")

    def intents(self) -> list[Any]:
        """Every intent, in the order they were written."""
        return self.rows("SELECT * FROM exit_intents ORDER BY created_at, intent_id")

    def events(self) -> list[Any]:
        """Every outbox row, in order."""
        return self.rows("SELECT *, ce_type AS type FROM outbox_event ORDER BY id")

    def tick_offset(self, partition: int) -> int:
        """The next unjudged tick of a partition."""
        found = self.rows("SELECT tick_offset FROM tick_partitions WHERE partition = :p", p=partition)
        return found[0][0] if found else 0

    def symbol_offset(self, symbol: str) -> int:
        """The next tick of a symbol missing in its stored state, as far as its partition is not ahead."""
        found = self.rows("SELECT tick_offset FROM tick_symbols WHERE symbol = :s", s=symbol)
        return found[0][0] if found else 0

    def await_trades(self, count: int) -> None:
        """Wait until so many trades are projected."""
        wait_until(
            lambda: self.value("SELECT count(*) FROM open_trades") == count,
            f"{count} trades are projected",
        )

    def await_tick(self, partition: int, offset: int) -> None:
        """Wait until the ticks before an offset are judged."""
        wait_until(lambda: self.tick_offset(partition) >= offset, f"tick {offset} of {partition} is judged")

    def await_exits(self, count: int) -> None:
        """Wait until so many signals are written."""
        wait_until(lambda: len(self.signals()) >= count, f"{count} signals are written")


@dataclass
class ThreadWorker:
    """A tick worker in a thread."""

    health: Health = field(default_factory=lambda: Health(*CONDITIONS))
    stop: Stop = field(default_factory=Stop)
    failures: list[BaseException] = field(default_factory=list)

    def await_ready(self) -> None:
        """Wait until it holds its partitions."""
        wait_until(lambda: bool(self.failures) or self.health.is_ready(), "the worker is ready")
        if self.failures:
            raise self.failures[0]


@contextmanager
def running_worker(settings: Settings, *, ready: bool = True) -> Iterator[ThreadWorker]:
    """A worker with its partitions held; told to stop afterwards, and its failure raised."""
    worker = ThreadWorker()
    database = open_database(settings)

    def work() -> None:
        try:
            build_worker(settings, worker.health, database).run(worker.stop)
        except Exception as error:  # noqa: BLE001  # raised again by the test's own thread
            worker.failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        if ready:
            worker.await_ready()
        yield worker
    finally:
        worker.stop.set()
        thread.join(LIMIT_S)
        database.dispose()
    assert not thread.is_alive()
    if worker.failures:
        raise worker.failures[0]


@contextmanager
def worker_process(settings: Settings, log: Path, failpoints: str = "") -> Iterator[ProductProcess]:
    """A worker in a process of its own, with failpoints armed; killed afterwards if it still runs."""
    environment = {
        "EXITFLOW_TESTING": "1",
        "EXITFLOW_FAILPOINTS": failpoints,
        "EXITFLOW_EXIT_DATABASE_URL": settings.require_exit_database(),
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "EXITFLOW_KAFKA_CONSUMER_PREFIX": settings.kafka_consumer_prefix,
        "EXITFLOW_KAFKA_SESSION_TIMEOUT_S": str(settings.kafka_session_timeout_s),
    }
    child = ProductProcess(run("run", "exit-ticks"), environment, log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
