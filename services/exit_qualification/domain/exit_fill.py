"""ExitFill: one execution of an exit order at the broker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ExitFill:
    """One execution of an exit order. The first six fields identify it; price in rupees."""

    broker: str
    account: str
    trading_day: date
    exchange: str
    broker_order_id: str
    broker_trade_id: str
    intent_id: UUID
    trade_id: UUID
    quantity: int
    price: Decimal
    filled_at: datetime
