"""Every exit rule from a plan on Kafka to a row, across a restart between the decisive ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from shared.contracts.trades import TradeExitPlanChanged, TradeOpened
from shared.contracts.vocabulary import Direction
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, running_worker
from tests.support.trades import opened


def test_rules_go_on_where_they_stood_before_a_restart(settings: Settings, market: Market, book: Book) -> None:
    plans: dict[str, dict[str, Any]] = {
        "TRAILING_STOP": {"trailing_stop": {"amount": "5"}},
        "BREAK_EVEN": {"break_even": {"arm": "8", "offset": "1"}},
        "TARGET": {"target": "1010", "bricks": {"size": "4", "confirm": 1}},
        "BRICK_REVERSAL": {"bricks": {"size": "2", "reversal": 2}},
    }
    trades = {reason: opened(plan=plan) for reason, plan in plans.items()}
    market.open(*trades.values())
    with running_worker(settings):
        book.await_trades(4)
        market.tick("1010.00")
        book.await_tick(market.partition(), 1)
    assert book.signals() == []
    with running_worker(settings):
        for price in ("1012.00", "1007.00", "1001.00"):
            market.tick(price)
        book.await_exits(4)
    found = {row.trade_id: (row.exit_reason, row.detected_price) for row in book.signals()}
    assert found == {
        trades["TARGET"].trade_id: ("TARGET", Decimal(1012)),
        trades["TRAILING_STOP"].trade_id: ("TRAILING_STOP", Decimal(1007)),
        trades["BREAK_EVEN"].trade_id: ("BREAK_EVEN", Decimal(1001)),
        trades["BRICK_REVERSAL"].trade_id: ("BRICK_REVERSAL", Decimal(1001)),
    }
    levels = {row.exit_reason: row.exit_level for row in book.intents()}
    assert levels == {"TARGET": 1010, "TRAILING_STOP": 1007, "BREAK_EVEN": 1001, "BRICK_REVERSAL": None}


def test_a_trade_held_too_long_exits_without_ticks(settings: Settings, market: Market, book: Book) -> None:
    quick = settings.model_copy(update={"rearm_poll_ms": 50})
    with running_worker(quick):
        market.open(opened(Direction.SHORT, plan={"max_hold_s": 1}))
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.exit_reason, intent.detected_price, intent.expires_at) == ("TIME", None, None)


def test_changed_plan_exits_without_tick_and_survives_restart(settings: Settings, market: Market, book: Book) -> None:
    quick = settings.model_copy(update={"rearm_poll_ms": 50})
    moved, widened = opened(), opened()
    market.open(moved, widened)
    with running_worker(quick):
        book.await_trades(2)
        market.tick("995.00")
        book.await_tick(market.partition(), 1)
        market.say(plan_changed(moved, stop_loss="996"), plan_changed(widened, stop_loss="980"))
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.trade_id, intent.exit_reason, intent.exit_level) == (moved.trade_id, "STOP_LOSS", Decimal(996))
    market.say(widened, plan_changed(widened, version=2, stop_loss="996"))
    with running_worker(quick):
        market.tick("985.00")
        book.await_tick(market.partition(), 2)
        market.tick("980.00")
        book.await_exits(2)
    assert [row.detected_price for row in book.signals() if row.trade_id == widened.trade_id] == [Decimal(980)]


def plan_changed(trade: TradeOpened, version: int = 2, **plan: object) -> TradeExitPlanChanged:
    """Return the event of a replaced plan of a trade."""
    facts = trade.model_dump() | {"plan_version": version, "exit_plan": plan, "changed_at": trade.entered_at}
    return TradeExitPlanChanged.model_validate(facts)


def test_symbols_and_prices_as_feeds_send_them_exit(settings: Settings, market: Market, book: Book) -> None:
    symbol = "CDS:USDINR26JAN83.25CE"
    trade = opened(Direction.SHORT, symbol=symbol, entry="0.5225", plan={"target": "0.5000", "stop_loss": "0.5475"})
    market.open(trade)
    with running_worker(settings):
        book.await_trades(1)
        market.put(
            b'{"symbol":"%s","ltp":0.49999999999999994,"ts":"2026-01-13T03:45:00Z","seq":null}' % symbol.encode(),
            symbol,
        )
        book.await_exits(1)
    [intent] = book.intents()
    assert (intent.symbol, intent.exit_reason, intent.detected_price) == (symbol, "TARGET", Decimal("0.5"))
