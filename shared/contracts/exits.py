"""Events of exit qualification: the signal, and every step of its intent."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from shared.clock import rfc3339
from shared.contracts.events import ExitEvent, register
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS
from shared.contracts.vocabulary import Direction, ExitReason
from shared.ids import exit_traceparent
from shared.money import Money

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,30})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _rfc3339_text(value: object) -> object:
    """Reject numbers and other text formats: their unit or time zone would be a guess."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise ValueError("not RFC 3339 text with a zone, e.g. 2026-01-13T03:45:00Z")


def _plausible(instant: datetime) -> datetime:
    """Reject years at the edges of the calendar, where converting the time zone would overflow."""
    if not 1970 <= instant.year < 2200:
        raise ValueError("not a time between 1970 and 2199")
    return instant


Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc3339_text),
    AfterValidator(_plausible),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A pydantic field type: an aware datetime of 1970 to 2199 inside, RFC 3339 in UTC on the wire."""

Quantity = Annotated[int, Field(gt=0, le=10**12)]
LegNumber = Annotated[int, Field(ge=1, le=100)]


class Fill(BaseModel):
    """One execution at the broker."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    broker_order_id: str
    """The order of this execution, as the broker names it."""
    broker_trade_id: str
    """The execution, as the broker names it; unique within an order."""
    quantity: Quantity
    """Executed quantity."""
    price: Money
    """Price of one unit."""
    filled_at: Timestamp
    """Time of the execution by the broker's clock."""


class ErrorDetail(BaseModel):
    """Why something was refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    code: str
    """A gate, an error of the broker or of this system; stable."""
    message: str
    """A sentence about the step, for people."""


Fills = Annotated[list[Fill], FailFast()]
ErrorDetails = Annotated[list[ErrorDetail], FailFast()]
"""A list stops at its first bad member: of a million bad ones, each would cost a description."""


@register
class ExitSignalPublished(ExitEvent):
    """The exit rules decided to exit a trade."""

    topic = EXIT_SIGNALS

    signal_id: UUID
    """The signal."""
    symbol: str
    """Exchange and trading symbol."""
    direction: Direction
    """The direction of the trade, not of the exit order."""
    exit_reason: ExitReason
    """The rule of the exit."""
    episode_id: int
    """The number of this firing among those of the trade and reason."""
    detected_price: Money | None
    """Price of the tick behind the exit; null if no tick fired (TIME, MANUAL)."""
    detected_at: Timestamp
    """Time of the decision."""
    leg: LegNumber | None = None
    """The leg of a target ladder; null for an exit of the whole remainder."""

    @property
    def subject(self) -> str:
        """Return the signal's id."""
        return str(self.signal_id)

    @property
    def own_traceparent(self) -> str:
        """Return the trace of the exit."""
        return exit_traceparent(self.signal_id)


class ExitIntentEvent(ExitEvent):
    """Fields common to every event of an intent, as far as known at this step."""

    topic = EXIT_INTENTS

    intent_id: UUID
    """The intent; all events of one exit share it."""
    signal_id: UUID
    """Its signal."""
    user_broker_id: str
    """The account of the exit."""
    symbol: str
    """Exchange and trading symbol."""
    direction: Direction
    """The direction of the trade, not of the exit order."""
    exit_reason: ExitReason
    """The rule of the exit."""
    episode_id: int
    """The number of this firing among those of the trade and reason."""
    leg: LegNumber | None = None
    """The leg of a target ladder; null for an exit of the whole remainder."""
    quantity: int
    """Quantity to exit."""
    filled_quantity: int = 0
    """Quantity filled so far."""
    average_price: Money | None = None
    """Volume-weighted price of the fills so far."""
    client_order_id: str
    """The tag of the order at the broker."""
    broker_order_id: str | None = None
    """The order at the broker, once placed."""
    executable: bool = True
    """False if the rollout only records the exit: no order is sent."""
    placed_at: Timestamp | None = None
    """When the broker had the order."""
    occurred_at: Timestamp
    """When this step was committed."""

    @property
    def subject(self) -> str:
        """Return the intent's id."""
        return str(self.intent_id)

    @property
    def own_traceparent(self) -> str:
        """Return the trace of the exit."""
        return exit_traceparent(self.signal_id)


@register
class ExitIntentApproved(ExitIntentEvent):
    """Every gate passed; if `executable`, an order will be sent."""


@register
class ExitIntentRejected(ExitIntentEvent):
    """A gate refused the exit for good."""

    errors: ErrorDetails
    """Every refusing gate."""


@register
class ExitIntentPlaced(ExitIntentEvent):
    """The broker has the order. Placed is not filled."""


@register
class ExitIntentPartiallyFilled(ExitIntentEvent):
    """Some of the quantity is filled; `fills` are all fills so far."""

    fills: Fills
    """All fills so far."""


@register
class ExitIntentFilled(ExitIntentEvent):
    """All of the quantity is filled; the trade can be closed."""

    average_price: Money
    """Volume-weighted price of all fills."""
    broker_order_id: str
    """The order at the broker."""
    placed_at: Timestamp
    """When the broker had the order."""
    filled_at: Timestamp
    """When the last fill was booked here."""
    time_to_fill_ms: int
    """From `placed_at` to `filled_at`, in milliseconds."""
    fills: Fills
    """All fills."""


@register
class ExitIntentFailed(ExitIntentEvent):
    """The order was refused or is proven never to have been placed; the trade stays open."""

    errors: ErrorDetails
    """Why it failed."""


@register
class ExitIntentCancelled(ExitIntentEvent):
    """The exit will not continue: `reason` gives the cause, `fills` the quantities filled before."""

    reason: str
    """Why it does not continue, e.g. SUPERSEDED, CONDITION_GONE, EXPIRED, DARK."""
    fills: Fills = Field(default_factory=list)
    """Fills before the end."""


@register
class ExitIntentLateFill(ExitIntentEvent):
    """Fills reported after the intent had ended; `fills` lists all fills so far."""

    fills: Fills
    """All fills, the late ones included."""
