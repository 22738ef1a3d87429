"""Orders and fills of the broker. Plain values; prices are whole units of 1/10,000 rupee."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT", "SL", "SL-M"]
OrderStatus = Literal["OPEN", "TRIGGER PENDING", "COMPLETE", "CANCELLED", "REJECTED"]

LIMITED: frozenset[OrderType] = frozenset({"LIMIT", "SL"})
"""Order types with a limit price; the others trade at the market."""

STOPS: frozenset[OrderType] = frozenset({"SL", "SL-M"})
"""Order types waiting for their trigger price."""

WORKING: frozenset[OrderStatus] = frozenset({"OPEN", "TRIGGER PENDING"})
"""Statuses of orders still able to trade, be changed and be cancelled."""

MAX_VALUE_UNITS = 10**15
"""Maximum value of one order or entry: sums of many fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Stage of a fill plan: from `from_ms` on, at most `filled_at_most` of the order may be filled in total."""

    from_ms: int
    filled_at_most: int


FillPlan = tuple[Stage, ...]
"""Stages in order of time; an order without stages may be filled immediately in full."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Validated order request of a client. A stop order, and no other, has a trigger."""

    symbol: str
    side: Side
    product: str
    order_type: OrderType
    validity: str
    quantity: int
    limit_units: int | None
    protection_units: int
    tag: str | None
    trigger_units: int | None = None
    ttl_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Order in the book. `filled_value` is Σ quantity · price of its fills; a stop order keeps its trigger.

    `modified` counts the changes by its account.
    """

    number: int
    account: str
    symbol: str
    side: Side
    product: str
    order_type: OrderType
    validity: str
    quantity: int
    limit_units: int | None
    protection_units: int
    tag: str | None
    status: OrderStatus
    status_message: str | None
    filled_quantity: int
    filled_value: int
    modified: int
    placed_ms: int
    updated_ms: int
    trigger_units: int | None = None
    ttl_minutes: int | None = None

    @property
    def is_working(self) -> bool:
        """Return whether the order can still trade, at once or after its trigger."""
        return self.status in WORKING

    @property
    def sign(self) -> int:
        """Return +1 for BUY, -1 for SELL."""
        return 1 if self.side == "BUY" else -1

    @property
    def unfilled(self) -> int:
        """Return the unfilled quantity, even after the order has ended."""
        return self.quantity - self.filled_quantity

    @property
    def average_units(self) -> int:
        """Return the volume-weighted price of the fills, rounded half up; 0 without fills."""
        return rounded_ratio(self.filled_value, self.filled_quantity)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: quantity, price and time."""

    quantity: int
    price_units: int
    at_ms: int


def rounded_ratio(value: int, count: int) -> int:
    """Return `value / count` rounded half up; 0 if `count` is 0. Neither may be negative."""
    return (2 * value + count) // (2 * count) if count else 0


def placed(request: OrderRequest, account: str, number: int, now_ms: int) -> Order:
    """Return the order created from an accepted request."""
    return Order(
        number=number,
        account=account,
        symbol=request.symbol,
        side=request.side,
        product=request.product,
        order_type=request.order_type,
        validity=request.validity,
        quantity=request.quantity,
        limit_units=request.limit_units,
        protection_units=request.protection_units,
        tag=request.tag,
        status="OPEN" if request.trigger_units is None else "TRIGGER PENDING",
        status_message=None,
        filled_quantity=0,
        filled_value=0,
        modified=0,
        placed_ms=now_ms,
        updated_ms=now_ms,
        trigger_units=request.trigger_units,
        ttl_minutes=request.ttl_minutes,
    )


def rejected(order: Order, message: str) -> Order:
    """Return the order as rejected after acceptance."""
    return replace(order, status="REJECTED", status_message=message)


def cancelled(order: Order, now_ms: int) -> Order:
    """Return the order as cancelled, keeping its fills."""
    return replace(order, status="CANCELLED", updated_ms=now_ms)
