"""Request and response models of exit-api; money as decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ACCEPTED
from services.exit_qualification.domain.order_terms import BrokerStatus
from shared.contracts.exits import ErrorDetail, Fill, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    IntentStatus,
    KillSwitchMode,
    ProductType,
    RolloutMode,
)
from shared.http.fields import NO_NUL, Reason
from shared.money import Money


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateView(BaseModel):
    """Verdict of one gate with its inputs."""

    gate: str
    verdict: str
    detail: dict[str, Any]


class IntentView(BaseModel):
    """Exit intent."""

    intent_id: UUID
    signal_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    direction: Direction
    product_type: ProductType
    exit_reason: ExitReason
    episode_id: int
    status: IntentStatus
    executable: bool
    quantity: int
    filled_quantity: int
    average_price: Money | None
    detected_price: Money | None
    exit_level: Money | None
    client_order_id: str
    broker_order_id: str | None
    error_code: str | None
    error_message: str | None
    cancel_reason: str | None
    late_filled: bool
    created_at: Timestamp
    expires_at: Timestamp | None
    submitted_at: Timestamp | None
    placed_at: Timestamp | None
    filled_at: Timestamp | None
    ended_at: Timestamp | None
    age_ms: int
    gates: list[GateView]
    errors: list[ErrorDetail]

    @classmethod
    def of(cls, intent: ExitIntent, now: datetime) -> Self:
        """Return the view of an intent at an instant."""
        return cls(**cls._values(intent, now))

    @classmethod
    def _values(cls, intent: ExitIntent, now: datetime) -> dict[str, Any]:
        derived = {"age_ms", "gates", "errors", "fills", "detected_at"}
        values = {name: getattr(intent, name) for name in cls.model_fields if name not in derived}
        values["age_ms"] = max(0, round((now - intent.created_at).total_seconds() * 1000))
        values["gates"] = [dict(gate) for gate in intent.gates]
        values["errors"] = [dict(error) for error in intent.errors]
        if intent.status in ACCEPTED:  # older versions stored the send error even if the order arrived
            values |= {"error_code": None, "error_message": None}
        return values


class IntentDetail(IntentView):
    """Exit intent with the time of its detection and its fills."""

    detected_at: Timestamp = Field(description="time of the tick, or of the request, that the exit was detected with")
    fills: list[Fill]

    @classmethod
    def with_fills(cls, intent: ExitIntent, detected_at: datetime, fills: list[Fill], now: datetime) -> Self:
        """Return the view of an intent, detected at a time, with its fills at an instant."""
        return cls(**cls._values(intent, now), detected_at=detected_at, fills=fills)


class IntentPage(BaseModel):
    """Page of intents; `next` is the cursor of the next page."""

    items: list[IntentView]
    next: str | None


class ManualExit(_Body):
    """Operator's exit of a trade."""

    trade_id: UUID
    reason_note: Reason
    record_only: bool = Field(
        False, description="write and publish the exit without executing it, where the rollout does not execute it"
    )


class PutKillSwitch(_Body):
    """Kill switch setting: ALL holds back every exit except manual ones.

    ENTRIES_ONLY holds back no exit; it is published for systems that open trades (`KillSwitchChanged`).
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


class PutRollout(_Body):
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


class PutBroker(_Body):
    """Account for executing exits. Credentials are settings of exit-orders, never sent here."""

    broker: Annotated[str, Field(pattern="^kite$", examples=["kite"])] = "kite"
    account: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
    root_url: Annotated[str, Field(pattern=r"^https?://[^\s\x00/?#@]+(:\d+)?$", max_length=255)]
    status: BrokerStatus
    reason: Reason
    orders_not_sent: bool = Field(
        False,
        description="confirm that exits without an order id of the broker never reached one, so that they do not hold "
        "the broker where it is; the books of the new place decide what became of them",
    )


class BrokerView(BaseModel):
    """Account for executing exits."""

    user_broker_id: str
    broker: str
    account: str
    root_url: str
    status: BrokerStatus
    waiting_error: ErrorDetail | None = Field(
        None, description="why its unsent exits wait, e.g. TOKEN_EXPIRED or ACCOUNT_DISCONNECTED"
    )


class BrokerList(BaseModel):
    """All user brokers, by id."""

    items: list[BrokerView]
