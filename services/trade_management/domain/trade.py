"""A trade, and what may be opened at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.errors import InvalidInput

MOST_VALUE = Decimal(10) ** 13
"""Rupees; an order's value stays below it, so that every sum fits NUMERIC(18,4)."""

CLOCK_SKEW = timedelta(seconds=60)
"""How far ahead of ours a caller's clock may be."""


class PlanContradiction(InvalidInput):
    """The exit plan cannot be meant for a trade of this direction."""

    code = "plan_contradiction"


class ShortDelivery(InvalidInput):
    """What is not owned cannot be sold for delivery."""

    code = "short_delivery"


class Plan(Protocol):
    """What opening needs to know of an exit plan."""

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """What in the plan cannot be meant for a trade of this direction and entry; empty if nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Trade:
    """An entered position. Prices in rupees; the direction is persisted at opening and never derived again.

    Attributes
    ----------
    entered_on:
        The trading day of `entered_at`.
    open_quantity:
        What no closure has booked yet; 0 if and only if the trade is CLOSED.
    """

    trade_id: UUID
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    quantity: int
    open_quantity: int
    entry_price: Decimal
    entered_at: datetime
    entered_on: date
    status: TradeStatus = TradeStatus.OPEN

    @property
    def entry_value(self) -> Decimal:
        """Rupees paid or received at entry."""
        return self.entry_price * self.quantity


def check_opening(trade: Trade, plan: Plan, now: datetime) -> None:
    """Refuse a trade that cannot be meant.

    Raises
    ------
    ShortDelivery
        SHORT with product CNC.
    PlanContradiction
        The plan and the direction do not go together; `details["contradictions"]` lists why.
    InvalidInput
        Entered in the future, or worth more than can be kept.
    """
    if trade.direction is Direction.SHORT and trade.product_type is ProductType.CNC:
        raise ShortDelivery("a SHORT trade cannot be CNC: what is not owned cannot be delivered")
    if trade.entry_value >= MOST_VALUE:
        raise InvalidInput(f"quantity times entry_price must be below {MOST_VALUE}")
    if trade.entered_at > now + CLOCK_SKEW:
        raise InvalidInput("entered_at is in the future")
    found = plan.contradictions(trade.direction, trade.entry_price)
    if found:
        raise PlanContradiction("; ".join(found), contradictions=found)
