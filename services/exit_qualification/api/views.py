"""Request and response models of exit-api; money as decimal strings, times RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.exit_qualification.domain.gates.gate import Verdict
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ACCEPTED
from services.exit_qualification.domain.resolution import Resolution
from services.exit_qualification.storage.execution_requests import MOST_IN_REQUEST
from services.exit_qualification.storage.trade_holds import MOST_HELD
from shared.contracts.exits import ErrorDetail, Fill, Timestamp
from shared.contracts.trades import Symbol, UserBrokerId
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    IntentStatus,
    ProductType,
)
from shared.exit_rules.prices import Price
from shared.http.fields import NO_NUL, Reason
from shared.money import Money


class Body(BaseModel):
    """Request body: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Gates = Literal["all", "held"]
"""Gates whose verdicts an answer has: all, or those that did not pass."""


class EndedHold(BaseModel):
    """End of a gate's hold, and the gate's input before."""

    until: Timestamp
    detail: dict[str, Any]


class GateView(BaseModel):
    """Verdict of one gate with its inputs."""

    gate: str
    verdict: str
    detail: dict[str, Any]
    held: EndedHold | None = Field(default=None, description="the hold by this gate that ended, if any")


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
    leg: int | None
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
    gates_passed: int = Field(description="how many gates passed")
    errors: list[ErrorDetail]

    @classmethod
    def of(cls, intent: ExitIntent, now: datetime, gates: Gates = "all") -> Self:
        """Return the view of an intent at an instant, with the verdicts of these gates."""
        return cls(**cls._values(intent, now, gates))

    @classmethod
    def _values(cls, intent: ExitIntent, now: datetime, gates: Gates = "all") -> dict[str, Any]:
        derived = {"age_ms", "gates", "gates_passed", "errors", "fills", "detected_at"}
        values = {name: getattr(intent, name) for name in cls.model_fields if name not in derived}
        values["age_ms"] = max(0, round((now - intent.created_at).total_seconds() * 1000))
        held = [gate for gate in intent.gates if gate["verdict"] != Verdict.PASS]
        values["gates"] = [dict(gate) for gate in (held if gates == "held" else intent.gates)]
        values["gates_passed"] = len(intent.gates) - len(held)
        values["errors"] = [dict(error) for error in intent.errors]
        if intent.status in ACCEPTED:  # older versions stored the send error even if the order arrived
            values |= {"error_code": None, "error_message": None}
        return values


class IntentDetail(IntentView):
    """Exit intent with the time of its detection and its fills."""

    detected_at: Timestamp = Field(description="time of the tick or of the request behind the exit")
    fills: list[Fill]

    @classmethod
    def with_fills(cls, intent: ExitIntent, detected_at: datetime, fills: list[Fill], now: datetime) -> Self:
        """Return the view of an intent, detected at a time, with its fills at an instant."""
        return cls(**cls._values(intent, now), detected_at=detected_at, fills=fills)


class IntentPage(BaseModel):
    """Page of intents; `next` is the cursor of the next page."""

    items: list[IntentView]
    next: str | None


class PendingCountsView(BaseModel):
    """Numbers of live intents."""

    total: int = Field(description="all of them; at least so many if not `is_whole`")
    by_status: dict[IntentStatus, int] = Field(description="of each status with any; empty if not `is_whole`")
    is_whole: bool = Field(description="false if there are too many to count")


class PendingPage(IntentPage):
    """Page of live intents, with the number of all that match the filters but for the status."""

    counts: PendingCountsView | None = Field(description="null unless asked for")


class ManualExit(Body):
    """Operator's exit of a trade."""

    trade_id: UUID
    reason_note: Reason
    record_only: bool = Field(
        False, description="write and publish the exit without executing it, where the rollout does not execute it"
    )


BrokerId = Annotated[str, Field(min_length=1, max_length=128, pattern=NO_NUL)]


class ResolvedFill(Body):
    """Execution read at the broker by an operator."""

    broker_trade_id: BrokerId
    quantity: Annotated[int, Field(gt=0, le=10**12)]
    price: Price
    filled_at: Timestamp


class ResolveExit(Body):
    """Outcome of an exit after the loss of its broker.

    `filled` needs every unknown fill of its order; with fewer shares than the order's the rest can exit
    again.
    """

    resolution: Resolution
    reason: Reason
    broker_order_id: BrokerId | None = Field(None, description="the broker's id of the order, if not known yet")
    fills: list[ResolvedFill] = Field(default_factory=list, max_length=1000)


class WithdrawExit(Body):
    """Cancellation of an unsent exit."""

    reason: Reason


class BulkExit(Body):
    """Exit of every open trade meeting all given conditions; at least one is needed."""

    symbol: Symbol | None = None
    product_type: ProductType | None = None
    user_broker_id: UserBrokerId | None = None
    reason_note: Reason
    dry_run: bool = Field(False, description="change nothing; list the effects")


class ExecutionRequest(Body):
    """Request to execute approved exits."""

    intent_ids: list[UUID] = Field(min_length=1, max_length=MOST_IN_REQUEST)


class ExecutionAnswer(BaseModel):
    """Exits told to exit-orders; those missing are no longer approved."""

    intent_ids: list[UUID]


class HoldTrades(Body):
    """Trades before a change of their terms."""

    trade_ids: list[UUID] = Field(min_length=1, max_length=MOST_HELD)
    hold_s: int | None = Field(
        None, ge=0, le=300, description="seconds without a new order; 0 ends it, null changes nothing"
    )
    versions: dict[UUID, int] = Field(
        default_factory=dict,
        max_length=MOST_HELD,
        description="versions of the trades after their change: until exits know these, the hold outlasts its seconds",
    )


class HeldTrade(BaseModel):
    """Standing of a trade's exits: whether one is live, and their filled quantity."""

    model_config = ConfigDict(from_attributes=True)

    trade_id: UUID
    is_live: bool
    filled_quantity: int
    was_held: bool = Field(description="whether a hold of the trade was in force before this request")


class HeldTrades(BaseModel):
    """Standing of each trade of the request."""

    items: list[HeldTrade]


class BulkExitItem(BaseModel):
    """Trade named by a bulk exit; `skipped` is why it is not exited, null if it is or would be."""

    trade_id: UUID
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    quantity: int
    skipped: str | None
    intent_id: UUID | None = Field(description="its new exit, or the one in progress")


class BulkExitAnswer(BaseModel):
    """Result of a bulk exit; `exits` counts the exited trades, in a dry run those to exit."""

    dry_run: bool
    exits: int
    items: list[BulkExitItem]


class BulkWithdrawal(Body):
    """Cancellation of every unsent exit meeting all given conditions; at least one is needed."""

    symbol: Symbol | None = None
    user_broker_id: UserBrokerId | None = None
    exit_reason: ExitReason | None = None
    reason: Reason
    dry_run: bool = Field(False, description="change nothing; list the effects")


class BulkWithdrawalItem(BaseModel):
    """Pending exit named by a bulk withdrawal; `skipped` is why it stays, null if it is or would be withdrawn."""

    intent_id: UUID
    trade_id: UUID
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    exit_reason: ExitReason
    leg: int | None
    status: IntentStatus = Field(description="after the request")
    executable: bool
    quantity: int
    skipped: str | None


class BulkWithdrawalAnswer(BaseModel):
    """Result of a bulk withdrawal; `withdrawn` counts the cancelled exits, in a dry run those to cancel."""

    dry_run: bool
    withdrawn: int
    items: list[BulkWithdrawalItem]
