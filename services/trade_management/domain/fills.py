"""Exit fills: new ones, the part a trade can take, and their average price."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from shared.contracts.vocabulary import ExitReason
from shared.money import to_price

_NOTHING: Final = Decimal(0)

FillId = tuple[UUID, str]
"""Unique key of a fill: (intent_id, broker_trade_id)."""

OrderId = tuple[UUID, str]
"""Key of an exit order: (intent_id, broker_order_id)."""


class Fill(Struct, frozen=True):
    """One execution of an exit order. The price is in rupees; `trading_day` is derived from `filled_at`.

    Attributes
    ----------
    target_leg:
        Leg of a target ladder exited by the order; None for the whole remainder.
    """

    intent_id: UUID
    broker_order_id: str
    broker_trade_id: str
    exit_reason: ExitReason
    quantity: int
    price: Decimal
    filled_at: datetime
    trading_day: date
    late: bool = False
    target_leg: int | None = None

    @property
    def fill_id(self) -> FillId:
        """Return the fill's unique key."""
        return (self.intent_id, self.broker_trade_id)

    @property
    def order_id(self) -> OrderId:
        """Return the key of the filled order."""
        return (self.intent_id, self.broker_order_id)

    @property
    def value(self) -> Decimal:
        """Return the value in rupees."""
        return self.price * self.quantity


def new_fills(reported: Sequence[Fill], known: Collection[FillId]) -> list[Fill]:
    """Return the unknown fills of `reported`, each once, in order of time."""
    if len(reported) == 1 and not known:
        return [*reported]
    fresh: dict[FillId, Fill] = {}
    for fill in reported:
        if fill.fill_id not in known:
            fresh.setdefault(fill.fill_id, fill)
    return sorted(fresh.values(), key=lambda fill: (fill.filled_at, fill.broker_trade_id))


def taken(fills: Sequence[Fill], open_quantity: int) -> list[Fill]:
    """Return the parts of `fills` within an open quantity, in their order.

    A fill larger than the remaining quantity is cut; later ones are omitted.
    """
    parts = []
    for fill in fills:
        part = min(fill.quantity, open_quantity)
        if part:
            parts.append(fill if part == fill.quantity else replace(fill, quantity=part))
        open_quantity -= part
    return parts


def total_quantity(fills: Iterable[Fill]) -> int:
    """Return the number of shares."""
    return sum([fill.quantity for fill in fills])


def total_value(fills: Iterable[Fill]) -> Decimal:
    """Return the exact value in rupees."""
    return sum([fill.value for fill in fills], _NOTHING)


def average_price(fills: Sequence[Fill]) -> Decimal:
    """Return the volume-weighted average price with the four decimals of stored prices."""
    return to_price(total_value(fills) / total_quantity(fills))
