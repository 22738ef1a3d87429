"""Splits and renames from Kafka to the rows of exits, across a restart and past a locked row."""

from __future__ import annotations

from typing import Any

from shared.clock import SystemClock
from shared.contracts.trades import TradeAdjusted, TradeOpened
from shared.ids import new_id
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book, Market, running_worker
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.trades import opened
from tests.support.waiting import wait_until

OTHER = "NSE:TCS"


def adjusted(trade: TradeOpened, **changes: Any) -> TradeAdjusted:
    """Return the event of a 1:10 split of a trade of 100 at 1000, with target 1010 and stop 990."""
    now = SystemClock().now()
    facts: dict[str, Any] = trade.model_dump() | {
        "action_id": new_id(),
        "kind": "SPLIT",
        "new_symbol": trade.symbol,
        "shares_before": 1,
        "shares_after": 10,
        "quantity": 1000,
        "open_quantity": 1000,
        "open_quantity_before": 100,
        "entry_price": "100.00",
        "plan_version": 2,
        "exit_plan": {"target": "101.00", "stop_loss": "99.00"},
        "effective_at": now,
        "adjusted_at": now,
    }
    return TradeAdjusted.model_validate(facts | changes)


def terms(book: Book) -> list[tuple[Any, ...]]:
    query = "SELECT symbol, quantity, entry_price, partition FROM open_trades ORDER BY symbol"
    return [tuple(row) for row in book.rows(query)]


def await_symbol(book: Book, symbol: str, quantity: int) -> None:
    wait_until(
        lambda: book.rows("SELECT 1 FROM open_trades WHERE symbol = :s AND quantity = :q", s=symbol, q=quantity) != [],
        f"the trade is of {quantity} {symbol}",
    )


def test_first_tick_after_split_sells_nothing_later_stop_sells_all(
    settings: Settings, market: Market, book: Book
) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
        market.say(adjusted(trade))
        await_symbol(book, INFY, 1000)
        market.tick("100.00")
        book.await_tick(market.partition(), 2)
    assert book.signals() == []
    with running_worker(settings):
        market.tick("100.50")
        book.await_tick(market.partition(), 3)
        assert book.signals() == []
        market.tick("99.00")
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.exit_reason, intent.quantity, intent.exit_level) == ("STOP_LOSS", 1000, 99)


def test_restart_before_first_tick_after_split_sells_nothing(settings: Settings, market: Market, book: Book) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
        market.say(adjusted(trade))
        await_symbol(book, INFY, 1000)
    with running_worker(settings):
        market.tick("100.00")
        book.await_tick(market.partition(), 2)
    assert book.signals() == []


def test_a_renamed_trade_moves_to_the_partition_of_its_symbol(settings: Settings, market: Market, book: Book) -> None:
    trade = opened()
    assert market.partition(OTHER) != market.partition(INFY)
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        same = {"kind": "RENAME", "shares_after": 1, "quantity": 100, "open_quantity": 100, "entry_price": "1000.00"}
        plan = trade.exit_plan.model_dump()
        market.say(adjusted(trade, new_symbol=OTHER, exit_plan=plan, **same))
        await_symbol(book, OTHER, 100)
        assert terms(book) == [(OTHER, 100, 1000, market.partition(OTHER))]
        market.tick("980.00")
        book.await_tick(market.partition(), 1)
        assert book.signals() == []
        market.tick("990.00", OTHER)
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.symbol, intent.exit_reason) == (OTHER, "STOP_LOSS")


def test_a_locked_row_follows_once_it_is_free(
    settings: Settings, database: Database, market: Market, book: Book
) -> None:
    trade = opened()
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        market.tick("1000.00")
        book.await_tick(market.partition(), 1)
        query = f"SELECT 1 FROM open_trades WHERE trade_id = '{trade.trade_id}'"
        with held_row(database.admin_url, "exit_qualification", query):
            market.say(adjusted(trade))
            wait_until(lambda: book.rows("SELECT 1 FROM waiting_trades WHERE work = 'ADJUST'") != [], "it waits")
            market.tick("100.00")
            book.await_tick(market.partition(), 2)
        await_symbol(book, INFY, 1000)
        market.tick("101.00")
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.exit_reason, intent.quantity) == ("TARGET", 1000)
    assert book.rows("SELECT 1 FROM waiting_trades") == []
