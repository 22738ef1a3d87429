"""The stored offsets belong to one log, and a worker never reads another in silence."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewPartitions

from services.exit_qualification.ticks.reset import reset
from services.exit_qualification.ticks.tick_metrics import RECORDS_MISSED
from shared.contracts.topics import TopicNames
from shared.errors import ConfigurationError, LogIdentityChanged
from shared.kafka import create_topics, open_admin
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.rig import Book, Market, running_worker
from tests.support.servers import delete_topics
from tests.support.trades import opened
from tests.support.waiting import wait_until


def _make_topics_again(settings: Settings, topics: TopicNames) -> None:
    delete_topics(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix)
    create_topics(settings, topics.all_on_cluster())


@pytest.mark.apache
def test_topics_made_again_stop_the_worker_until_an_operator_resets(
    settings: Settings, topics: TopicNames, market: Market, book: Book
) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
    _make_topics_again(settings, topics)
    market.tick("1010.00")
    with (
        pytest.raises(LogIdentityChanged, match="exitflow ticks reset"),
        running_worker(settings, ready=False) as worker,
    ):
        worker.await_failure()
    assert book.tick_offset(market.partition()) == 1

    assert reset(settings, actor="somebody", reason="lost the disk") == settings.topic_partitions
    with running_worker(settings):
        book.await_exits(1)
    [audited] = book.rows("SELECT * FROM audit_log WHERE action = 'ticks.reset'")
    assert (audited.actor, audited.reason) == ("somebody", "lost the disk")


@pytest.mark.apache
def test_an_offset_beyond_the_end_of_the_log_stops_the_worker(settings: Settings, market: Market, book: Book) -> None:
    with running_worker(settings):
        pass
    book.execute("UPDATE tick_partitions SET tick_offset = 5 WHERE partition = 0")
    with (
        pytest.raises(LogIdentityChanged, match="ends at 0 and 5 was read"),
        running_worker(settings, ready=False) as worker,
    ):
        worker.await_failure()


@pytest.mark.apache
def test_records_that_retention_removed_are_missed_aloud(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
    for price in ("1010.00", "1001.00", "990.00"):
        market.tick(price)
    keep_from = TopicPartition(market.ticks, market.partition(), 3)
    admin = open_admin(settings)
    for future in admin.delete_records([keep_from]).values():
        future.result(15)
    missed = RECORDS_MISSED.labels(market.ticks)._value.get()
    with running_worker(settings):
        book.await_exits(1)
    assert RECORDS_MISSED.labels(market.ticks)._value.get() == missed + 2
    assert [row.exit_reason for row in book.signals()] == ["STOP_LOSS"]


def test_a_reset_on_the_same_log_exits_nothing_again(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1010.00")
        market.tick("1005.00")
        book.await_tick(market.partition(), 2)
    reset(settings)
    with running_worker(settings):
        book.await_tick(market.partition(), 2)
    assert len(book.signals()) == len(book.intents()) == 1


@pytest.mark.apache
def test_topics_with_unequal_partitions_are_refused(settings: Settings, market: Market, book: Book) -> None:
    grown = NewPartitions(market.ticks, settings.topic_partitions + 1)
    admin = open_admin(settings)
    for future in admin.create_partitions([grown]).values():
        future.result(15)
    wait_until(lambda: len(admin.list_topics().topics[market.ticks].partitions) > settings.topic_partitions, "it grows")
    with (
        pytest.raises(ConfigurationError, match="must have the same number"),
        running_worker(settings, ready=False) as worker,
    ):
        worker.await_failure()


@pytest.mark.apache
def test_topics_that_both_grow_are_refused_while_trades_are_open_under_the_old_layout(
    settings: Settings, market: Market, book: Book
) -> None:
    market.open(*(opened(symbol=f"NSE:S{number}") for number in range(20)))
    with running_worker(settings):
        book.await_trades(20)
    admin = open_admin(settings)
    wanted = settings.topic_partitions + 3
    grown = [NewPartitions(topic, wanted) for topic in (market.ticks, market.trades)]
    for future in admin.create_partitions(grown).values():
        future.result(15)
    both = (market.ticks, market.trades)
    wait_until(lambda: all(len(admin.list_topics().topics[topic].partitions) == wanted for topic in both), "they grow")
    with (
        pytest.raises(ConfigurationError, match="cannot change under open trades"),
        running_worker(settings, ready=False) as worker,
    ):
        worker.await_failure()


def test_missing_topics_are_refused(settings: Settings, book: Book) -> None:
    with (
        pytest.raises(ConfigurationError, match="exitflow topics create"),
        running_worker(settings, ready=False) as worker,
    ):
        worker.await_failure()
