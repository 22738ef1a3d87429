"""The paper broker's feed while its topics change: it follows, and its prices stay true."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from services.paper_broker.broker import PaperBroker
from services.paper_broker.ledger import FILE_NAME, Ledger
from services.paper_broker.market_feed import CONDITION, MarketFeed
from shared.clock import SystemClock
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.ids import new_id
from shared.kafka.clients import open_producer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.integration.paper_broker.test_process import send_opened, send_tick
from tests.support.topic_changes import create_topic, delete_topic, grow
from tests.support.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.apache


@pytest.fixture
def producer(settings: Settings, topics: TopicNames) -> Producer:
    """A producer to the environment's topics."""
    return open_producer(settings)


@contextmanager
def feeding(settings: Settings, directory: Path) -> Iterator[tuple[Ledger, Health]]:
    """A feed at work in a thread, once it is ready."""
    ledger, health, stop = Ledger(directory), Health(CONDITION, "kafka"), Stop()
    feed = MarketFeed(settings, ledger, PaperBroker(ledger, SystemClock()), health)
    thread = threading.Thread(target=feed.run, args=(stop,))
    thread.start()
    try:
        wait_until(health.is_ready, "the feed is ready")
        yield ledger, health
    finally:
        stop.set()
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        ledger.close()


def price(ledger: Ledger) -> int | None:
    """The last price of INFY in units."""
    with ledger.read() as books:
        quote = books.market.quote("NSE:INFY")
    return quote.last_units if quote else None


def entries(directory: Path) -> int:
    """How many entries are booked."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


@pytest.mark.parametrize("which", [MARKET_TICKS, TRADES])
def test_a_replaced_topic_is_read_from_its_beginning(
    settings: Settings, topics: TopicNames, producer: Producer, tmp_path: Path, which: str
) -> None:
    topic = topics.on_cluster(which)
    with feeding(settings, tmp_path) as (ledger, health):
        send_tick(producer, topics, "1000.00", 1)
        send_opened(producer, topics, str(new_id()), quantity=10)
        wait_until(lambda: (price(ledger), entries(tmp_path)) == (10_000_000, 1), "both topics are read")
        delete_topic(settings, topic)
        wait_until(lambda: "exitflow topics create" in str(health.problems()), "it names the command")
        create_topic(settings, topic)
        send_tick(producer, topics, "1001.00", 2)
        send_opened(producer, topics, str(new_id()), quantity=7)
        wait_until(lambda: (price(ledger), entries(tmp_path)) == (10_010_000, 2), "both topics are read on")
        wait_until(health.is_ready, "it is ready again")


def test_partitions_that_are_added_are_read(
    settings: Settings, topics: TopicNames, producer: Producer, tmp_path: Path
) -> None:
    with feeding(settings, tmp_path) as (ledger, health):
        grow(settings, settings.topic_partitions + 1, topics.on_cluster(MARKET_TICKS))
        tick = b'{"symbol":"NSE:INFY","ltp":"1001.00","ts":"2026-01-13T09:15:00Z","seq":1}'
        producer.produce(topics.on_cluster(MARKET_TICKS), tick, "NSE:INFY", settings.topic_partitions)
        producer.flush()
        wait_until(lambda: price(ledger) == 10_010_000, "the new partition is read")
        wait_until(health.is_ready, "it is ready again")
