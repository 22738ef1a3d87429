"""Trades and ticks to replay."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.replay.book import BookedTrade, checked
from services.replay.tape.recorded import RecordedTick
from services.trade_management.domain.trade import Trade
from shared.clock import TRADING_ZONE, trading_day
from shared.contracts.vocabulary import Direction, ProductType
from shared.exit_rules.plan import ExitPlan
from shared.instants import epoch_us

OPENING = datetime(2026, 1, 13, 9, 15, tzinfo=TRADING_ZONE)
INFY, TCS = "NSE:INFY", "NSE:TCS"


def booked(number: int = 1, *, plan: dict[str, Any] | None = None, **changes: Any) -> BookedTrade:
    """Return a LONG of 100 entered at 1000 with target 1010 and stop 990, but for the changes."""
    facts: dict[str, Any] = {
        "trade_id": UUID(int=number),
        "symbol": INFY,
        "direction": Direction.LONG,
        "product_type": ProductType.MIS,
        "user_broker_id": "paper",
        "quantity": 100,
        "entry_price": Decimal(1000),
        "entered_at": OPENING,
    } | changes
    trade = Trade(**facts, open_quantity=facts["quantity"], entered_on=trading_day(facts["entered_at"]))
    levels = {"target": "1010", "stop_loss": "990"} if plan is None else plan
    return checked(BookedTrade(trade, ExitPlan.model_validate(levels)))


def tick(seconds: float, price: float | str, symbol: str = INFY, **changes: Any) -> RecordedTick:
    """Return a tick so many seconds after the opening, at a price in rupees."""
    at = OPENING + timedelta(seconds=seconds)
    return RecordedTick(1, symbol, int(Decimal(str(price)) * 10_000), epoch_us(at), **changes)
