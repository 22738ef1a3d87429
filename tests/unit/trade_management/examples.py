"""Trades, fills and the shipped schedule, for tests of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from services.trade_management.domain.closure import Booking, TradeHistory, book
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.shipped_charges import SHIPPED, SHIPPED_FROM
from services.trade_management.domain.trade import Trade
from shared.clock import trading_day
from shared.contracts.vocabulary import Direction, ExitReason, ProductType
from shared.ids import new_id

ENTERED_AT = datetime(2026, 1, 13, 4, 0, tzinfo=UTC)
SINCE = SHIPPED_FROM
SCHEDULE = SHIPPED


def trade(
    direction: Direction = Direction.LONG,
    product_type: ProductType = ProductType.MIS,
    *,
    quantity: int = 100,
    entry: str | Decimal = "1000",
    **more: Any,
) -> Trade:
    """An open trade: by default LONG 100 INFY at 1000 MIS."""
    terms: dict[str, Any] = {
        "trade_id": new_id(),
        "symbol": "NSE:INFY",
        "direction": direction,
        "product_type": product_type,
        "user_broker_id": "paper",
        "quantity": quantity,
        "open_quantity": quantity,
        "entry_price": Decimal(entry),
        "entered_at": ENTERED_AT,
        "entered_on": trading_day(ENTERED_AT),
    }
    return Trade(**(terms | more))


_FIRST = Fill(
    intent_id=new_id(),
    broker_order_id="1",
    broker_trade_id="1",
    exit_reason=ExitReason.TARGET,
    quantity=100,
    price=Decimal(1010),
    filled_at=ENTERED_AT,
    trading_day=trading_day(ENTERED_AT),
)


def fill(quantity: int = 100, price: str | Decimal = "1010", *, days: int = 0, **more: Any) -> Fill:
    """A fill `days` after the entry; every call without ids is another execution of the same order."""
    filled_at = ENTERED_AT + timedelta(days=days, hours=1)
    made = replace(
        _FIRST,
        broker_trade_id=str(new_id()),
        quantity=quantity,
        price=Decimal(price),
        filled_at=filled_at,
        trading_day=trading_day(filled_at),
    )
    return replace(made, **more)


def book_each(opened: Trade, fills: Sequence[Fill]) -> list[Booking]:
    """Book the fills one by one, each in a report of its own."""
    history, bookings = TradeHistory(opened), []
    for each in fills:
        bookings.append(book(history, [each], SCHEDULE))
        history = bookings[-1].after
    return bookings
