"""Timeline of a trade's exits, derived from their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.gates.holds import ended_holds, has_deferred
from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import ExitReason, IntentStatus


class Step(StrEnum):
    """Kind of an entry, in the order of entries of one instant."""

    ENTERED = "ENTERED"
    DETECTED = "DETECTED"
    QUALIFIED = "QUALIFIED"
    RELEASED = "RELEASED"
    SUBMITTED = "SUBMITTED"
    PLACED = "PLACED"
    FILL = "FILL"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    ENDED = "ENDED"


_ORDER = {step: number for number, step in enumerate(Step)}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of the timeline. `detail` is JSON-safe."""

    at: datetime
    step: Step
    exit_reason: ExitReason | None = None
    episode_id: int | None = None
    intent_id: UUID | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


def timeline(
    entered_at: datetime,
    signals: Iterable[ExitSignal],
    intents: Sequence[ExitIntent],
    fills: Mapping[UUID, Sequence[Fill]],
) -> list[TimelineEntry]:
    """Return the timeline of a trade's exits, oldest first."""
    entries = [TimelineEntry(entered_at, Step.ENTERED)]
    entries += [_detected(signal) for signal in signals]
    for intent in intents:
        entries += _of_intent(intent, fills.get(intent.intent_id, ()))
    return sorted(entries, key=lambda entry: (entry.at, _ORDER[entry.step]))


def _detected(signal: ExitSignal) -> TimelineEntry:
    price = None if signal.detected_price is None else str(signal.detected_price)
    return TimelineEntry(
        signal.detected_at,
        Step.DETECTED,
        signal.exit_reason,
        signal.episode_id,
        detail={"price": price, "signal_id": str(signal.signal_id)},
    )


def _of_intent(intent: ExitIntent, fills: Sequence[Fill]) -> Iterator[TimelineEntry]:
    def entry(at: datetime, step: Step, **detail: object) -> TimelineEntry:
        return TimelineEntry(at, step, intent.exit_reason, intent.episode_id, intent.intent_id, detail)

    yield entry(
        intent.created_at,
        Step.QUALIFIED,
        quantity=intent.quantity,
        executable=intent.executable,
        held_by=[gate["gate"] for gate in intent.gates if gate["verdict"] != "PASS" or has_deferred(gate)],
        gates=[dict(gate) for gate in intent.gates],
    )
    for until, gates in ended_holds(intent.gates).items():
        yield entry(datetime.fromisoformat(until), Step.RELEASED, held_by=gates)
    if intent.submitted_at is not None:
        yield entry(
            intent.submitted_at, Step.SUBMITTED, attempts=intent.attempts, client_order_id=intent.client_order_id
        )
    if intent.placed_at is not None:
        yield entry(intent.placed_at, Step.PLACED, broker_order_id=intent.broker_order_id)
    for fill in fills:
        yield entry(
            fill.filled_at,
            Step.FILL,
            quantity=fill.quantity,
            price=str(fill.price),
            broker_trade_id=fill.broker_trade_id,
        )
    if intent.cancel_requested_at is not None:
        yield entry(intent.cancel_requested_at, Step.CANCEL_REQUESTED)
    ended_at = intent.filled_at if intent.status is IntentStatus.FILLED else intent.ended_at
    if ended_at is not None:
        yield entry(ended_at, Step.ENDED, status=intent.status.value, **_why_ended(intent))


def _why_ended(intent: ExitIntent) -> dict[str, object]:
    """Return why an intent ended, without unknown parts."""
    known = {
        "cancel_reason": intent.cancel_reason,
        "error_code": intent.error_code,
        "error_message": intent.error_message,
        "refusals": [dict(error) for error in intent.errors] or None,
        "filled_quantity": intent.filled_quantity or None,
        "late_filled": intent.late_filled or None,
    }
    return {name: value for name, value in known.items() if value is not None}
