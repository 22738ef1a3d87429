"""Request and response models of the operators' controls: kill switch, rollout, user brokers."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from services.exit_qualification.api.views import Body
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders.brokers.registry import Broker
from shared.contracts.exits import ErrorDetail, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode, RolloutMode
from shared.http.fields import NO_NUL, Reason


class PutKillSwitch(Body):
    """Kill switch setting: ALL holds back every exit except manual ones.

    ENTRIES_ONLY holds back no exit; it is published for systems opening trades (`KillSwitchChanged`).
    """

    mode: KillSwitchMode
    reason: Reason


class KillSwitchView(BaseModel):
    """Current kill switch."""

    mode: KillSwitchMode
    reason: str
    updated_by: str
    updated_at: Timestamp


class OrderOnItsWay(BaseModel):
    """Exit handed over before the kill switch took effect; its order may still reach the broker."""

    intent_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    exit_reason: ExitReason
    status: IntentStatus
    client_order_id: str
    submitted_at: Timestamp | None

    @classmethod
    def of(cls, intent: ExitIntent) -> Self:
        """Return the view of an intent."""
        return cls(**{name: getattr(intent, name) for name in cls.model_fields})


class KillSwitchAnswer(KillSwitchView):
    """Kill switch after the change, and the exits already handed over."""

    on_their_way: list[OrderOnItsWay] = Field(
        description="under ALL: exits handed over before the change; their orders may still reach the broker"
    )


class PutRollout(Body):
    """Rollout setting; the lists apply in mode limited only."""

    mode: RolloutMode
    symbols: list[Symbol] = Field(default_factory=list, max_length=10_000)
    user_broker_ids: list[UserBrokerId] = Field(default_factory=list, max_length=10_000)
    reason: Reason


class RolloutView(BaseModel):
    """Current rollout."""

    mode: RolloutMode
    symbols: list[str]
    user_broker_ids: list[str]
    reason: str
    updated_by: str
    updated_at: Timestamp


class PutBroker(Body):
    """Account for executing exits. Credentials are settings of exit-orders, never sent here."""

    broker: Broker = Broker.KITE
    account: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
    root_url: Annotated[str, Field(pattern=r"^https?://[^\s\x00/?#@]+(:\d+)?$", max_length=255)]
    status: BrokerStatus
    reason: Reason
    orders_not_sent: bool = Field(
        False,
        description="confirm: exits without an order id never reached the broker and do not hold it where it is; the "
        "books of the new place decide their outcome",
    )


class BrokerView(BaseModel):
    """Account for executing exits."""

    user_broker_id: str
    broker: str
    account: str
    root_url: str
    status: BrokerStatus
    token_refused_at: Timestamp | None = Field(None, description="since when the broker refuses the access token")
    token_ends_at: Timestamp | None = Field(
        None, description="latest end of today's access token by the broker; null if unknown"
    )
    entries_held_since: Timestamp | None = Field(
        None, description="since when no trade may be opened at it, because it lost more than its limit"
    )
    entries_held_reason: str | None = None
    waiting_error: ErrorDetail | None = Field(
        None, description="why its unsent exits wait, e.g. TOKEN_EXPIRED or ACCOUNT_DISCONNECTED"
    )


class BrokerList(BaseModel):
    """All user brokers, by id."""

    items: list[BrokerView]
