"""Trades and the checks at their opening."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from shared.contracts.vocabulary import Direction, ProductType, TradeStatus
from shared.errors import Conflict, InvalidInput

MOST_VALUE = Decimal(10) ** 13
"""Rupees; an order's value stays below it, so every sum fits NUMERIC(18,4)."""

CLOCK_SKEW = timedelta(seconds=60)
"""Tolerance for a caller's clock ahead of ours."""


class PlanContradiction(InvalidInput):
    """Exit plan that contradicts the trade's direction."""

    code = "plan_contradiction"


class TradeNotOpen(Conflict):
    """Change of a trade that has exited already."""

    code = "trade_closed"


class ShortDelivery(InvalidInput):
    """Short sale with a delivery product: only owned shares can be delivered."""

    code = "short_delivery"


class Plan(Protocol):
    """Interface of an exit plan needed at opening."""

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions with this direction and entry; empty if there are none."""
        ...

    def change_contradictions(self, before: Any) -> list[str]:
        """Return why an open trade with the plan `before` cannot take this plan; empty if it can."""
        ...


@dataclass(frozen=True, slots=True)
class Trade:
    """Entered position. Prices in rupees; the direction is stored at opening and never derived later.

    Attributes
    ----------
    entered_on:
        Trading day of `entered_at`.
    open_quantity:
        Quantity not booked by a closure yet; 0 if and only if the trade is CLOSED.
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
        """Return rupees paid or received at entry."""
        return self.entry_price * self.quantity


def check_opening(trade: Trade, plan: Plan, now: datetime) -> None:
    """Reject an invalid trade.

    Raises
    ------
    ShortDelivery
        SHORT with product CNC.
    PlanContradiction
        The plan contradicts the direction; `details["contradictions"]` lists why.
    InvalidInput
        The entry time is in the future, or the value exceeds the limit.
    """
    if trade.direction is Direction.SHORT and trade.product_type is ProductType.CNC:
        raise ShortDelivery("a SHORT trade cannot be CNC, because only owned shares can be delivered; use MIS")
    if trade.entry_value >= MOST_VALUE:
        raise InvalidInput(f"quantity times entry_price must be below {MOST_VALUE}")
    if trade.entered_at > now + CLOCK_SKEW:
        raise InvalidInput("entered_at is in the future")
    _refuse(plan.contradictions(trade.direction, trade.entry_price))


def check_change(trade: Trade, before: Plan, after: Plan) -> None:
    """Reject a plan that an open trade cannot take in the place of the plan `before`.

    Raises
    ------
    TradeNotOpen
        The trade is closed.
    PlanContradiction
        The plan contradicts itself or what is frozen since the entry; `details["contradictions"]` lists why.
    """
    if trade.status is not TradeStatus.OPEN:
        raise TradeNotOpen(f"trade {trade.trade_id} is {trade.status}; only the plan of an open trade can change")
    _refuse(after.change_contradictions(before))


def _refuse(contradictions: list[str]) -> None:
    if contradictions:
        raise PlanContradiction("; ".join(contradictions), contradictions=contradictions)
