"""The stored offsets belong to one log with one layout: any other is carried over, or held with the command to run."""

from __future__ import annotations

import pytest

from services.exit_qualification.ticks.reset import rehome, reset
from shared.contracts.topics import TopicNames
from shared.contracts.trades import TradeOpened
from shared.kafka.clients import murmur2_partition
from shared.kafka.consumer_gaps import ConsumerGaps
from shared.kafka.topic_watch import RECORDS_MISSED
from shared.postgres.audit import Act
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, ThreadWorker, running_worker
from tests.support.topic_changes import create_topic, delete_topic, grow, remove_records, replace_topic
from tests.support.trades import opened
from tests.support.waiting import wait_until

RESET, REHOME, GROW, CREATE = "exitflow ticks reset", "exitflow ticks rehome", "exitflow topics grow", "topics create"


def _await_problem(worker: ThreadWorker, *words: str) -> None:
    def says() -> bool:
        text = " ".join(worker.health.problems().values())
        return all(word in text for word in words)

    wait_until(says, f"the worker holds and says {words}")
    assert not worker.failures


def _trades_on_every_partition(settings: Settings, partitions: int) -> list[TradeOpened]:
    """Trades with symbols on every partition of the old and the new layout."""
    trades, missing = [], {(old, new) for old in range(settings.topic_partitions) for new in range(partitions)}
    for number in range(1000):
        key = f"NSE:S{number}".encode()
        homes = murmur2_partition(key, settings.topic_partitions), murmur2_partition(key, partitions)
        if homes in missing:
            missing.discard(homes)
            trades.append(opened(symbol=key.decode()))
    return trades


@pytest.mark.apache
@pytest.mark.parametrize("which", ["ticks", "trades"])
def test_a_replaced_topic_holds_the_worker_until_reset(
    settings: Settings, market: Market, book: Book, which: str
) -> None:
    topic = {"ticks": market.ticks, "trades": market.trades}[which]
    market.open(opened())
    with running_worker(settings) as worker:
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
        delete_topic(settings, topic)
        _await_problem(worker, "no such topics", CREATE)
        create_topic(settings, topic)
        market.tick("1010.00")
        _await_problem(worker, topic, RESET)
        assert book.signals() == []
        assert reset(settings, actor="ops-desk", reason="lost the disk") == settings.topic_partitions
        book.await_exits(1)
        worker.await_ready()
    [audited] = book.rows("SELECT * FROM audit_log WHERE action = 'ticks.reset'")
    assert (audited.actor, audited.reason) == ("ops-desk", "lost the disk")


@pytest.mark.apache
def test_topics_replaced_while_stopped_hold_the_worker(
    settings: Settings, topics: TopicNames, market: Market, book: Book
) -> None:
    with running_worker(settings):
        pass
    replace_topic(settings, market.ticks)
    with running_worker(settings, ready=False) as worker:
        _await_problem(worker, market.ticks, RESET)


@pytest.mark.apache
def test_an_offset_beyond_the_end_holds_the_worker(settings: Settings, market: Market, book: Book) -> None:
    with running_worker(settings):
        pass
    book.execute("UPDATE tick_partitions SET tick_offset = 5 WHERE partition = 0")
    with running_worker(settings, ready=False) as worker:
        _await_problem(worker, "partition 0 ends before the stored offset 5", RESET)
        reset(settings)
        worker.await_ready()


@pytest.mark.apache
def test_ticks_that_retention_removed_are_counted_and_later_prices_decide(
    settings: Settings, market: Market, book: Book
) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
    for price in ("1010.00", "1001.00", "990.00"):
        market.tick(price)
    remove_records(settings, market.ticks, market.partition(), 3)
    missed = RECORDS_MISSED.labels(market.ticks)._value.get()
    with running_worker(settings):
        book.await_exits(1)
    assert RECORDS_MISSED.labels(market.ticks)._value.get() == missed + 2
    assert [row.exit_reason for row in book.signals()] == ["STOP_LOSS"]


@pytest.mark.apache
def test_a_removed_unread_trade_is_a_gap_until_acknowledged(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
    market.open(opened(), opened())
    remove_records(settings, market.trades, market.partition(), 2)
    for _ in range(2):  # a restart does not forget it
        with running_worker(settings, ready=False) as worker:
            _await_problem(worker, f"missed 1 record of {market.trades}", "exitflow gaps acknowledge exit-ticks")
            book.await_trades(2)
    with book.engine.begin() as connection:
        assert len(ConsumerGaps(connection, "exit-ticks").acknowledge(Act("ops-desk", "published again"))) == 1
    with running_worker(settings):
        pass


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
@pytest.mark.parametrize("first", ["ticks", "trades"])
def test_one_grown_topic_holds_the_worker_until_rehoming(
    settings: Settings, market: Market, book: Book, first: str
) -> None:
    partitions = settings.topic_partitions + 1
    trades = _trades_on_every_partition(settings, partitions)
    grown = settings.model_copy(update={"topic_partitions": partitions})
    with running_worker(settings) as worker:
        market.open(*trades)
        book.await_trades(len(trades))
        one, other = (market.ticks, market.trades) if first == "ticks" else (market.trades, market.ticks)
        grow(settings, partitions, one)
        _await_problem(worker, GROW, other)
        grow(settings, partitions, other)
        _await_problem(worker, REHOME)
        planned = rehome(grown, actor="ops-desk", reason="more", dry_run=True)
        assert book.value("SELECT count(*) FROM audit_log WHERE action = 'ticks.rehome'") == 0
        moved = rehome(grown, actor="ops-desk", reason="more")
        assert planned == moved
        assert (moved.partitions, 0 < moved.trades < len(trades)) == (partitions, True)
        worker.await_ready()
        fresh = Market(grown, TopicNames(settings.kafka_topic_prefix))
        for trade in trades:
            fresh.tick("1010.00", trade.symbol)
        book.await_exits(len(trades))
    homes = book.rows("SELECT symbol, partition FROM open_trades UNION SELECT symbol, partition FROM tick_symbols")
    assert {row.partition == murmur2_partition(row.symbol.encode(), partitions) for row in homes} == {True}


@pytest.mark.apache
def test_topics_growing_without_open_trades_are_followed_automatically(
    settings: Settings, market: Market, book: Book
) -> None:
    with running_worker(settings) as worker:
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
        grow(settings, settings.topic_partitions + 3, market.ticks, market.trades)
        wait_until(lambda: book.value("SELECT max(partitions) FROM log_identity") == 7, "the worker follows")
        worker.await_ready()


@pytest.mark.apache
def test_a_trade_on_its_old_partition_is_evaluated_at_home(settings: Settings, market: Market, book: Book) -> None:
    """The relay keeps the partitions of before until it is told otherwise; two workers hold the old and the new one."""
    partitions = settings.topic_partitions + 1
    grown = settings.model_copy(update={"topic_partitions": partitions})
    with running_worker(settings):
        pass
    grow(settings, partitions, market.ticks, market.trades)
    trades = _trades_on_every_partition(settings, partitions)
    fresh = Market(grown, TopicNames(settings.kafka_topic_prefix))
    with running_worker(settings) as worker, running_worker(settings) as other:
        for trade in trades:
            fresh.open_on(murmur2_partition(trade.symbol.encode(), settings.topic_partitions), trade)
        book.await_trades(len(trades))
        for trade in trades:
            fresh.tick("1010.00", trade.symbol)
        book.await_exits(len(trades))
        worker.await_ready()
        other.await_ready()


def test_missing_topics_hold_the_worker_until_they_are_made(settings: Settings, book: Book) -> None:
    with running_worker(settings, ready=False) as worker:
        _await_problem(worker, "no such topics", CREATE)
