"""Exit fills: which are new, how much of them a trade can take, and at what average price."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from shared.contracts.vocabulary import ExitReason
from shared.money import to_price

FillId = tuple[UUID, str]
"""What a fill is stored once by: (intent_id, broker_trade_id)."""

OrderId = tuple[UUID, str]
"""An exit order: (intent_id, broker_order_id)."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of an exit order. The price is in rupees; `trading_day` is that of `filled_at`."""

    intent_id: UUID
    broker_order_id: str
    broker_trade_id: str
    exit_reason: ExitReason
    quantity: int
    price: Decimal
    filled_at: datetime
    trading_day: date
    late: bool = False

    @property
    def fill_id(self) -> FillId:
        """What tells it from other fills."""
        return (self.intent_id, self.broker_trade_id)

    @property
    def order_id(self) -> OrderId:
        """The order that it filled."""
        return (self.intent_id, self.broker_order_id)

    @property
    def value(self) -> Decimal:
        """Rupees."""
        return self.price * self.quantity


def new_fills(told: Iterable[Fill], known: Collection[FillId]) -> list[Fill]:
    """Those of `told` that are not known yet, each once, in the order in which they happened."""
    fresh: dict[FillId, Fill] = {}
    for fill in told:
        if fill.fill_id not in known:
            fresh.setdefault(fill.fill_id, fill)
    return sorted(fresh.values(), key=lambda fill: (fill.filled_at, fill.broker_trade_id))


def taken(fills: Sequence[Fill], open_quantity: int) -> list[Fill]:
    """The parts of `fills`, first come first taken, that an open quantity has room for.

    A fill that is larger than the room left is cut; one that finds none is left out.
    """
    parts = []
    for fill in fills:
        part = min(fill.quantity, open_quantity)
        if part:
            parts.append(replace(fill, quantity=part))
        open_quantity -= part
    return parts


def total_quantity(fills: Iterable[Fill]) -> int:
    """Shares."""
    return sum(fill.quantity for fill in fills)


def total_value(fills: Iterable[Fill]) -> Decimal:
    """Rupees, exact."""
    return sum((fill.value for fill in fills), Decimal(0))


def average_price(fills: Sequence[Fill]) -> Decimal:
    """The volume-weighted average price, to the four decimals that a price is kept with."""
    return to_price(total_value(fills) / total_quantity(fills))
