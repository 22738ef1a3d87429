"""A locked row delays the exits of its own trade alone, and none is lost meanwhile."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from services.exit_qualification.ticks.session import TICKS
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.contracts.trades import TradeOpened
from shared.runtime import waiting_work
from shared.runtime.telemetry import REGISTRY
from shared.runtime.waiting_work import CONDITION
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.trades import opened
from tests.support.waiting import wait_until

SCHEMA = "exit_qualification"
STOPPED, BACK = "985.00", "1000.00"
ROWS_OF_A_TRADE = {
    "the trade": "SELECT 1 FROM open_trades WHERE trade_id = '{trade_id}'",
    "its episode": "SELECT 1 FROM exit_episodes WHERE trade_id = '{trade_id}'",
    "its waiting exit": "SELECT 1 FROM exit_intents WHERE trade_id = '{trade_id}'",
    "the sequence of its events": "SELECT 1 FROM outbox_sequence WHERE key = '{trade_id}'",
}


def exited(book: Book, trade: TradeOpened, reason: str = "STOP_LOSS") -> bool:
    """Whether a trade has an intent of a reason."""
    query = "SELECT FROM exit_intents WHERE trade_id = :id AND exit_reason = :reason"
    return bool(book.rows(query, id=trade.trade_id, reason=reason))


def with_rows(book: Book, trade: TradeOpened, topics: TopicNames) -> None:
    """Give a trade a row in every table: a target with a waiting intent, as when its broker was away."""
    facts: dict[str, Any] = {"id": trade.trade_id, "topic": topics.on_cluster(EXIT_INTENTS)}
    book.execute("INSERT INTO outbox_sequence (topic, key, last) VALUES (:topic, CAST(:id AS text), 1)", **facts)
    book.execute("SELECT generate_exit_episode(:id, 'STOP_LOSS', '0 s')", **facts)


@pytest.mark.parametrize("held", ROWS_OF_A_TRADE)
def test_a_held_row_delays_only_its_trade(
    held: str, settings: Settings, database: Database, market: Market, book: Book, topics: TopicNames
) -> None:
    stuck, other = opened(), opened()
    if held == "its waiting exit":
        book.execute("UPDATE user_brokers SET status = 'DISCONNECTED'")  # its intent stays PENDING
    market.open(stuck)
    query = ROWS_OF_A_TRADE[held].format(trade_id=stuck.trade_id)
    with running_worker(settings) as worker:
        book.await_trades(1)
        with_rows(book, stuck, topics)
        if held == "its waiting exit":
            market.tick("1010.00")
            book.await_exits(1)
        market.open(other)
        book.await_trades(2)
        with held_row(database.admin_url, SCHEMA, query):
            market.tick(STOPPED)
            wait_until(lambda: exited(book, other), "the other trade exits")
            assert not exited(book, stuck)
            market.tick(BACK)  # the price comes back; a touched stop must still exit
            offset = 3 if held == "its waiting exit" else 2
            book.await_tick(market.partition(), offset)
        wait_until(lambda: exited(book, stuck), "the stop exits by itself")
        wait_until(worker.health.is_ready, "the worker is well")
    assert book.rows("SELECT FROM waiting_trades") == []
    stops = [row for row in book.signals() if row.exit_reason == "STOP_LOSS"]
    assert sorted(row.trade_id for row in stops) == sorted((stuck.trade_id, other.trade_id))


def test_a_touched_stop_of_a_held_trade_survives_a_restart(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    stuck = opened()
    market.open(stuck)
    query = ROWS_OF_A_TRADE["the trade"].format(trade_id=stuck.trade_id)
    with running_worker(settings):
        book.await_trades(1)
        with held_row(database.admin_url, SCHEMA, query):
            market.tick(STOPPED)
            market.tick(BACK)
            book.await_tick(market.partition(), 2)  # the offsets pass
    if not exited(book, stuck):  # unless the worker was quicker than its end
        with running_worker(settings):
            wait_until(lambda: exited(book, stuck), "the stop exits")


def test_a_held_trade_is_closed_and_never_exits_again(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    closed, other = opened(), opened()
    market.open(closed, other)
    query = ROWS_OF_A_TRADE["the trade"].format(trade_id=closed.trade_id)
    status = "SELECT status FROM open_trades WHERE trade_id = :id"
    with running_worker(settings):
        book.await_trades(2)
        with held_row(database.admin_url, SCHEMA, query):
            market.tick(STOPPED)
            wait_until(lambda: exited(book, other), "the other trade exits")
            market.close(closed)
            market.close(other)
            wait_until(lambda: book.value(status, id=other.trade_id) == "CLOSED", "the other trade is closed")
            assert book.value(status, id=closed.trade_id) == "OPEN"
        wait_until(lambda: book.value(status, id=closed.trade_id) == "CLOSED", "the trade is closed")
    assert not exited(book, closed)
    assert book.rows("SELECT FROM waiting_trades") == []


def test_a_held_symbol_row_delays_no_exit(settings: Settings, database: Database, market: Market, book: Book) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        market.tick(BACK)
        book.await_tick(market.partition(), 1)
        with held_row(database.admin_url, SCHEMA, f"SELECT 1 FROM tick_symbols WHERE symbol = '{INFY}'"):
            market.tick(STOPPED)
            wait_until(lambda: exited(book, trade), "the stop exits")
        market.tick("986.00", symbol=INFY)
        wait_until(lambda: book.value("SELECT last_price FROM tick_symbols") == 986, "the symbol's state is stored")


def test_a_held_trade_is_counted_logged_and_shown_in_health(
    settings: Settings,
    database: Database,
    market: Market,
    book: Book,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_work, "UNREADY_AFTER_S", 1.0)
    stuck = opened()
    market.open(stuck)
    query = ROWS_OF_A_TRADE["the trade"].format(trade_id=stuck.trade_id)
    with caplog.at_level(logging.INFO), running_worker(settings) as worker:
        book.await_trades(1)
        with held_row(database.admin_url, SCHEMA, query):
            market.tick(STOPPED)
            wait_until(lambda: CONDITION in worker.health.problems(), "health shows the trade")
            assert f"trade {stuck.trade_id} waits for" in worker.health.problems()[CONDITION]
            assert REGISTRY.get_sample_value("waiting_work", {"of": "exit-ticks"}) == 1
        wait_until(lambda: exited(book, stuck), "the stop exits")
        wait_until(worker.health.is_ready, "health is well again")
    assert caplog.text.count(f"trade {stuck.trade_id} waits:") == 1
    assert caplog.text.count(f"trade {stuck.trade_id} goes on") == 1


def test_held_partition_row_shows_in_health_and_delays_exit(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings) as worker:
        book.await_trades(1)
        with held_row(
            database.admin_url, SCHEMA, f"SELECT 1 FROM tick_partitions WHERE partition = {market.partition()}"
        ):
            market.tick(STOPPED)
            wait_until(lambda: "a lock is held" in worker.health.problems().get(TICKS, ""), "health names the lock")
            assert not exited(book, trade)
        wait_until(lambda: exited(book, trade), "the stop exits by itself")
        wait_until(worker.health.is_ready, "the worker is well")


def test_held_partition_row_is_worker_problem(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings) as worker:
        book.await_trades(1)
        wait_until(worker.health.is_ready, "the worker is well")
        with held_row(
            database.admin_url, SCHEMA, f"SELECT 1 FROM tick_partitions WHERE partition = {market.partition()}"
        ):
            market.tick(STOPPED)
            wait_until(lambda: "a lock is held" in str(worker.health.problems()), "health says that a lock is held")
        wait_until(lambda: exited(book, trade), "the stop exits by itself")
        wait_until(worker.health.is_ready, "the worker is well again")
