"""The shapes that exit-api speaks in; money as decimal strings, times RFC 3339 in UTC."""

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
    """One gate's answer, with what it saw."""

    gate: str
    verdict: str
    detail: dict[str, Any]


class IntentView(BaseModel):
    """An exit intent."""

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
        """How an intent looks at an instant."""
        return cls(**cls._values(intent, now))

    @classmethod
    def _values(cls, intent: ExitIntent, now: datetime) -> dict[str, Any]:
        derived = {"age_ms", "gates", "errors", "fills"}
        values = {name: getattr(intent, name) for name in cls.model_fields if name not in derived}
        values["age_ms"] = max(0, round((now - intent.created_at).total_seconds() * 1000))
        values["gates"] = [dict(gate) for gate in intent.gates]
        values["errors"] = [dict(error) for error in intent.errors]
        if intent.status in ACCEPTED:  # rows of older versions kept the error of a send whose order arrived
            values |= {"error_code": None, "error_message": None}
        return values


class IntentDetail(IntentView):
    """An exit intent with its fills."""

    fills: list[Fill]

    @classmethod
    def with_fills(cls, intent: ExitIntent, fills: list[Fill], now: datetime) -> Self:
        """How an intent and its fills look at an instant."""
        return cls(**cls._values(intent, now), fills=fills)


class IntentPage(BaseModel):
    """A page of intents, oldest first; `next` is the cursor of the page behind it."""

    items: list[IntentView]
    next: str | None


class ManualExit(_Body):
    """An operator's exit of a trade."""

    trade_id: UUID
    reason_note: Reason
    record_only: bool = Field(
        False, description="where the rollout does not execute it: write and publish the exit, execute nothing"
    )


class PutKillSwitch(_Body):
    """What to stop: ALL holds back every exit but a manual one.

    ENTRIES_ONLY holds back no exit: it is published for whoever opens trades (`KillSwitchChanged`).
    """

    mode: KillSwitchMode
    reason: Reason


class KillSwitchView(BaseModel):
    """The kill switch as it stands."""

    mode: KillSwitchMode
    reason: str
    updated_by: str
    updated_at: Timestamp


class OrderOnItsWay(BaseModel):
    """An exit that was handed over before the kill switch held; its order may still reach the broker."""

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
    """The kill switch as it was set, and the exits that it came too late for."""

    on_their_way: list[OrderOnItsWay] = Field(
        description="under ALL: exits handed over before, whose orders may still reach the broker"
    )


class PutRollout(_Body):
    """How far the pipeline is switched on; the lists count in mode limited only."""

    mode: RolloutMode
    symbols: list[Symbol] = Field(default_factory=list, max_length=10_000)
    user_broker_ids: list[UserBrokerId] = Field(default_factory=list, max_length=10_000)
    reason: Reason


class RolloutView(BaseModel):
    """The rollout as it stands."""

    mode: RolloutMode
    symbols: list[str]
    user_broker_ids: list[str]
    reason: str
    updated_by: str
    updated_at: Timestamp


class PutBroker(_Body):
    """An account to execute exits at. Credentials are settings of exit-orders, never sent here."""

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
    """An account that exits are executed at."""

    user_broker_id: str
    broker: str
    account: str
    root_url: str
    status: BrokerStatus
    waiting_error: ErrorDetail | None = Field(
        None, description="why its unsent exits wait, e.g. TOKEN_EXPIRED or ACCOUNT_DISCONNECTED"
    )


class BrokerList(BaseModel):
    """Every user broker, by id."""

    items: list[BrokerView]
