"""Orders and fills of the broker. Plain values; prices are whole units of 1/10,000 rupee."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT"]
OrderStatus = Literal["OPEN", "COMPLETE", "CANCELLED", "REJECTED"]

MAX_VALUE_UNITS = 10**15
"""Maximum value of one order or entry, so that sums of many fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Stage of a fill plan: from `from_ms` on, at most `filled_at_most` of the order may be filled in total."""

    from_ms: int
    filled_at_most: int


FillPlan = tuple[Stage, ...]
"""Stages in order of time; an order without stages may be filled immediately in full."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Validated order request of a client."""

    symbol: str
    side: Side
    product: str
    order_type: OrderType
    validity: str
    quantity: int
    limit_units: int | None
    protection_units: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """Order in the book. `filled_value` is Σ quantity · price of its fills."""

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
        status="OPEN",
        status_message=None,
        filled_quantity=0,
        filled_value=0,
        modified=0,
        placed_ms=now_ms,
        updated_ms=now_ms,
    )


def rejected(order: Order, message: str) -> Order:
    """Return the order as rejected after acceptance."""
    return replace(order, status="REJECTED", status_message=message)


def cancelled(order: Order, now_ms: int) -> Order:
    """Return the order as cancelled, keeping its fills."""
    return replace(order, status="CANCELLED", updated_ms=now_ms)
