"""Orders and fills as the broker keeps them. Plain values; prices are whole units of 1/10,000 rupee."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT"]
OrderStatus = Literal["OPEN", "COMPLETE", "CANCELLED", "REJECTED"]

MAX_VALUE_UNITS = 10**15
"""Most that one order or entry may be worth, so that sums of many stay within 64 bits."""


@dataclass(frozen=True, slots=True)
class Stage:
    """From `from_ms` on, up to `filled_at_most` of an order may be filled in all."""

    from_ms: int
    filled_at_most: int


FillPlan = tuple[Stage, ...]
"""Stages in order of time; an order without any may be filled at once and whole."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asks for, already validated."""

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
    """An order in the book. `filled_value` is Σ quantity · price of its fills."""

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
        """+1 for BUY, -1 for SELL."""
        return 1 if self.side == "BUY" else -1

    @property
    def unfilled(self) -> int:
        """What is not filled, whatever became of it."""
        return self.quantity - self.filled_quantity

    @property
    def average_units(self) -> int:
        """The volume-weighted price of its fills, half up; 0 without any."""
        return rounded_ratio(self.filled_value, self.filled_quantity)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: how much, at what price, when."""

    quantity: int
    price_units: int
    at_ms: int


def rounded_ratio(value: int, count: int) -> int:
    """`value / count` to the nearest whole, half up; 0 for no count. Neither may be negative."""
    return (2 * value + count) // (2 * count) if count else 0


def placed(request: OrderRequest, account: str, number: int, now_ms: int) -> Order:
    """The order that a request becomes when it is accepted."""
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
    """The order, refused after it was accepted."""
    return replace(order, status="REJECTED", status_message=message)


def cancelled(order: Order, now_ms: int) -> Order:
    """The order, ended with what it has filled."""
    return replace(order, status="CANCELLED", updated_ms=now_ms)
