"""Counters of exit qualification, moved by committed events of any process."""

from __future__ import annotations

from shared.contracts.exits import (
    ExitIntentApproved,
    ExitIntentFailed,
    ExitIntentFilled,
    ExitIntentLateFill,
    ExitIntentPlaced,
    ExitIntentRejected,
    ExitSignalPublished,
)
from shared.outbox.after_commit import after_commit
from shared.runtime.telemetry import counter, histogram

FILL_BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)

SIGNALS_DETECTED = counter("exit_signals_detected", "exit signals written", "reason")
INTENTS_APPROVED = counter("exit_intents_approved", "exit intents passed by every gate", "reason")
INTENTS_REJECTED = counter("exit_intents_rejected", "exit intents refused, by the first refusing gate", "gate")
INTENTS_PLACED = counter("exit_intents_placed", "exit orders at the broker", "reason")
INTENTS_FILLED = counter("exit_intents_filled", "completely filled exits", "reason")
INTENTS_FAILED = counter("exit_intents_failed", "exit orders refused or never placed", "reason")
LATE_FILLS = counter("exit_intents_late_fill", "ended exits with later fills", "reason")
POSTBACKS = counter("exit_postbacks", "order updates posted by brokers, by result", "result")
TIME_TO_FILL = histogram("exit_time_to_fill_ms", "from placed to filled, by our clock", buckets=FILL_BUCKETS_MS)


@after_commit(ExitSignalPublished)
def _count_detected(event: ExitSignalPublished) -> None:
    SIGNALS_DETECTED.labels(event.exit_reason).inc()


@after_commit(ExitIntentApproved)
def _count_approved(event: ExitIntentApproved) -> None:
    INTENTS_APPROVED.labels(event.exit_reason).inc()


@after_commit(ExitIntentRejected)
def _count_rejected(event: ExitIntentRejected) -> None:
    """Count an intent once: the sum over gates is the number of rejected intents."""
    INTENTS_REJECTED.labels(event.errors[0].code if event.errors else "UNKNOWN").inc()


@after_commit(ExitIntentPlaced)
def _count_placed(event: ExitIntentPlaced) -> None:
    INTENTS_PLACED.labels(event.exit_reason).inc()


@after_commit(ExitIntentFilled)
def _count_filled(event: ExitIntentFilled) -> None:
    INTENTS_FILLED.labels(event.exit_reason).inc()
    TIME_TO_FILL.observe(event.time_to_fill_ms)


@after_commit(ExitIntentFailed)
def _count_failed(event: ExitIntentFailed) -> None:
    INTENTS_FAILED.labels(event.exit_reason).inc()


@after_commit(ExitIntentLateFill)
def _count_late_fill(event: ExitIntentLateFill) -> None:
    LATE_FILLS.labels(event.exit_reason).inc()
