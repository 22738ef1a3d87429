"""Exit intent: one attempt to exit a trade at one broker, and the decisions about its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from services.exit_qualification.domain.intent_state_machine import LIVE, UNSENT
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.order_terms import OrderType
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, ProductType


class CancelReason(StrEnum):
    """Reason for cancelling an intent before its quantity was filled."""

    SUPERSEDED = "SUPERSEDED"
    CONDITION_GONE = "CONDITION_GONE"
    EXPIRED = "EXPIRED"
    DARK = "DARK"
    NOTHING_LEFT = "NOTHING_LEFT"
    NOT_FILLED_IN_TIME = "NOT_FILLED_IN_TIME"
    BY_BROKER = "BY_BROKER"
    WITHDRAWN = "WITHDRAWN"


class ExitIntent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of `exit_intents` as it was read; a change is written only against the `version` read.

    Prices in rupees, times aware and UTC. A burst makes thousands, and a frozen dataclass takes six times as long.

    Attributes
    ----------
    quantity:
        Quantity of the order: the trade's remaining quantity when the order was sized.
    filled_quantity:
        Sum of its fills; never decreases.
    executable:
        False if it was written in dark mode or outside the rollout's lists; it is never sent.
    gates:
        Every gate's verdict as ``{"gate", "verdict", "detail"}``.
    errors:
        Refusals by gates, as ``{"code", "message"}``.
    attempts:
        Number of times it was sent to the broker.
    exit_level:
        Level reached by the price; None if no price alone decides.
    expires_at:
        When a waiting intent expires; None if it never does.
    claimed_until:
        End of the ownership by a sender or reconciler.
    absent_since:
        Time of the first complete read of the broker's books without its order.
    late_filled:
        Whether fills arrived after it had ended.
    leg:
        Of a target ladder; None for the whole remainder.
    beside_leg:
        Whether it takes the remainder without the quantity of a live leg.
    """

    intent_id: UUID
    signal_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction
    exit_reason: ExitReason
    episode_id: int
    status: IntentStatus
    quantity: int
    product_type: ProductType
    client_order_id: str
    created_at: datetime
    updated_at: datetime
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    executable: bool = True
    gates: tuple[Mapping[str, object], ...] = ()
    errors: tuple[Mapping[str, str], ...] = ()
    filled_quantity: int = 0
    average_price: Decimal | None = None
    detected_price: Decimal | None = None
    exit_level: Decimal | None = None
    broker_order_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    cancel_reason: str | None = None
    attempts: int = 0
    expires_at: datetime | None = None
    claimed_until: datetime | None = None
    submitted_at: datetime | None = None
    placed_at: datetime | None = None
    filled_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    absent_since: datetime | None = None
    late_filled: bool = False
    leg: int | None = None
    beside_leg: bool = False
    version: int = 1

    @property
    def is_live(self) -> bool:
        """Return whether the intent may still change the position."""
        return self.status in LIVE

    @property
    def was_sent(self) -> bool:
        """Return whether its order was ever handed to the broker."""
        return self.submitted_at is not None

    @property
    def rule_key(self) -> RuleKey:
        """Return the key of its rule."""
        return RuleKey(self.trade_id, self.exit_reason, self.leg)

    @property
    def remaining(self) -> int:
        """Return the quantity not filled yet."""
        return self.quantity - self.filled_quantity

    def audit_facts(self) -> dict[str, object]:
        """Return what the audit log keeps of it."""
        return {
            "status": self.status.value,
            "filled_quantity": self.filled_quantity,
            "broker_order_id": self.broker_order_id,
        }


SENT_WITHIN = timedelta(seconds=1)
"""Senders take an approved intent within this time; an older one may be superseded."""


def is_being_sent(intent: ExitIntent, now: datetime) -> bool:
    """Return whether an intent was approved so recently that its order is about to be sent.

    A later tick does not supersede it then: the speed of a sender must not decide the exit reason.
    """
    approved = intent.status is IntentStatus.APPROVED and intent.executable
    return approved and abs(now - intent.updated_at) < SENT_WITHIN


def supersedes(candidate_reason: ExitReason, live_intent: ExitIntent) -> bool:
    """Return whether a candidate supersedes a live intent: it ranks higher, and nothing was sent yet."""
    return live_intent.status in UNSENT and candidate_reason.rank < live_intent.exit_reason.rank


def is_taken_over(holder: ExitIntent, wanted: RuleKey, now: datetime) -> bool:
    """Return whether an exit of a rule cancels a waiting intent of its trade that is not about to be sent."""
    return supersedes(wanted.reason, holder) and not is_being_sent(holder, now)


def blocks(holder: ExitIntent, wanted: RuleKey, now: datetime) -> bool:
    """Return whether an executable intent of a trade stands against an exit of one of the trade's rules.

    An exit of the whole remainder goes on beside a leg of lower rank and leaves it its quantity. Legs go on beside each
    other, and each is filled once.
    """
    if holder.leg is None:
        whole = holder.is_live or (holder.status is IntentStatus.FILLED and not holder.beside_leg)
        return whole and not is_taken_over(holder, wanted, now)
    if wanted.leg is not None:
        return holder.leg == wanted.leg and (holder.is_live or 0 < holder.quantity == holder.filled_quantity)
    return holder.is_live and holder.exit_reason.rank <= wanted.reason.rank
