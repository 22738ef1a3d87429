"""Protective stop: a stop order held by the broker for a trade, and the terms it should have. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.contracts.vocabulary import Direction, ProductType, ProtectiveStopStatus, TradeStatus
from shared.exit_rules.protective_stop import ProtectedPlan, away_from_market, fixed_trigger, follows_trail

ENDED: Final = frozenset({ProtectiveStopStatus.CANCELLED, ProtectiveStopStatus.TRIGGERED, ProtectiveStopStatus.FAILED})
HELD: Final = frozenset({ProtectiveStopStatus.ARMED, ProtectiveStopStatus.REPLACING})
"""Statuses of an order waiting at the broker and meant to stay there."""


class EndReason(StrEnum):
    """Why a protective stop ended or is to end."""

    EXIT = "EXIT"
    """Another exit of the trade is to be sent."""
    TRADE_CLOSED = "TRADE_CLOSED"
    PLAN_CHANGED = "PLAN_CHANGED"
    """The plan has no protective stop any more, or the trade another symbol."""
    BY_BROKER = "BY_BROKER"
    DAY_ENDED = "DAY_ENDED"
    NEVER_PLACED = "NEVER_PLACED"
    REJECTED_BY_BROKER = "REJECTED_BY_BROKER"
    NOTHING_LEFT = "NOTHING_LEFT"
    """It was triggered when nothing of the trade was left."""
    RENEWED = "RENEWED"
    """It was changed as often as an order may be; another order follows."""


MOST_CHANGES: Final = 20
"""Changes requested of one order before another takes its place: Kite accepts 25."""

FAILURES: Final = (EndReason.BY_BROKER, EndReason.NEVER_PLACED, EndReason.REJECTED_BY_BROKER)
"""Ends after which the next order waits longer each time."""


@dataclass(frozen=True, slots=True)
class StopTerms:
    """Quantity and trigger price in rupees of a stop order."""

    quantity: int
    trigger_price: Decimal


@dataclass(frozen=True, slots=True)
class FollowedTrigger:
    """Trigger price in rupees following a trailing stop, by the plan of a version."""

    price: Decimal
    plan_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectiveStop:
    """A row of `protective_stops` as it was read; a change is written only against the `version` read.

    Attributes
    ----------
    followed_price, followed_version:
        Fields of the last `FollowedTrigger`; None if it never followed.
    changes:
        How often other terms were requested of the broker.
    """

    stop_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction
    product_type: ProductType
    status: ProtectiveStopStatus
    quantity: int
    trigger_price: Decimal
    client_order_id: str
    broker_order_id: str | None
    error_code: str | None
    error_message: str | None
    end_reason: str | None
    submitted_at: datetime | None
    claimed_until: datetime | None
    asked_at: datetime | None
    absent_since: datetime | None
    armed_at: datetime | None
    ended_at: datetime | None
    intent_id: UUID | None
    created_at: datetime
    version: int
    followed_price: Decimal | None = None
    followed_version: int | None = None
    changes: int = 0

    @property
    def terms(self) -> StopTerms:
        """Return the terms asked for last."""
        return StopTerms(self.quantity, self.trigger_price)

    @property
    def may_be_at_broker(self) -> bool:
        """Return whether the broker may hold its order."""
        return self.status not in ENDED and self.status is not ProtectiveStopStatus.WANTED


@dataclass(frozen=True, slots=True)
class StandingStop:
    """Protective stop not ended yet, with the facts for the terms it should have.

    Attributes
    ----------
    remaining:
        Quantity of the trade without its fills.
    trigger_price:
        By the plan in force, in rupees; None if the plan asks for none.
    exit_waits:
        Whether another exit of the trade could be sent now but for the stop.
    """

    stop: ProtectiveStop
    trade_status: TradeStatus
    trade_symbol: str
    remaining: int
    trigger_price: Decimal | None
    exit_waits: bool

    @property
    def wanted(self) -> StopTerms | EndReason:
        """Return the terms the stop should have, or why there should be none."""
        if self.trade_status is not TradeStatus.OPEN or self.remaining <= 0:
            return EndReason.TRADE_CLOSED
        if self.trigger_price is None or self.trade_symbol != self.stop.symbol:
            return EndReason.PLAN_CHANGED
        if self.exit_waits:
            return EndReason.EXIT
        terms = StopTerms(self.remaining, self.trigger_price)
        differs = terms != self.stop.terms or self.stop.status is ProtectiveStopStatus.REPLACING
        if differs and self.stop.status in HELD and self.stop.changes >= MOST_CHANGES:
            return EndReason.RENEWED
        return terms


def planned_trigger(
    plan: ProtectedPlan, direction: Direction, tick_size: Decimal | None, followed: Decimal | None
) -> Decimal | None:
    """Return the trigger by a plan, with the price following its trailing stop; None if the plan has no stop."""
    prices = [fixed_trigger(plan, direction)]
    if follows_trail(plan):
        prices.append(followed)
    known = [price for price in prices if price is not None]
    nearest = max(known, key=lambda price: price * direction.sign, default=None)
    return None if nearest is None else on_tick(nearest, direction, tick_size)


def on_tick(trigger_price: Decimal, direction: Direction, tick_size: Decimal | None) -> Decimal:
    """Return the trigger as a multiple of the tick size, away from the market: never before the plan's stop."""
    return away_from_market(trigger_price, direction, tick_size) if tick_size else trigger_price


def is_met(trigger_price: Decimal, direction: Direction, last_price: Decimal | None) -> bool:
    """Return whether the market has reached the trigger: the broker would then refuse the order."""
    return last_price is not None and (last_price - trigger_price) * direction.sign <= 0
