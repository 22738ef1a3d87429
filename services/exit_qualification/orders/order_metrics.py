"""What the order process counts and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared.contracts.events import Event
from shared.contracts.exits import (
    ExitIntentFailed,
    ExitIntentFilled,
    ExitIntentLateFill,
    ExitIntentPlaced,
)
from shared.telemetry import counter, gauge, histogram

FILL_BUCKETS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)

PLACED = counter("exit_intents_placed", "exit orders that the broker has", "reason")
FILLED = counter("exit_intents_filled", "exits that filled completely", "reason")
FAILED = counter("exit_intents_failed", "exit orders refused or never placed", "reason")
LATE_FILLS = counter("exit_intents_late_fill", "exits that got fills after they had ended", "reason")
TIME_TO_FILL = histogram("exit_time_to_fill_ms", "from placed to filled, by our clock", buckets=FILL_BUCKETS_MS)
BROKER_CALL_SECONDS = histogram("exit_broker_call_seconds", "how long calls to the broker take", "call")
BROKER_ERRORS = counter("exit_broker_errors", "calls to the broker that raised", "call", "kind")
OLDEST_UNKNOWN_SECONDS = gauge("exit_orders_oldest_unknown_seconds", "since the oldest UNKNOWN exit was sent; 0: none")
UNDECIDABLE = gauge("exit_orders_undecidable", "exits sent on an earlier day whose fate the books no longer show")
OVERFILLED = counter("exit_orders_overfilled", "times that an exit order was filled beyond its quantity")


@contextmanager
def timed_call(call: str) -> Iterator[None]:
    """Time a call to the broker, however it ends."""
    with BROKER_CALL_SECONDS.labels(call).time():
        yield


def count_events(events: Sequence[Event]) -> None:
    """Count what happened; call it after the commit, so that nothing is counted that was not kept."""
    for event in events:
        match event:
            case ExitIntentPlaced():
                PLACED.labels(event.exit_reason).inc()
            case ExitIntentFilled():
                FILLED.labels(event.exit_reason).inc()
                TIME_TO_FILL.observe(event.time_to_fill_ms)
            case ExitIntentFailed():
                FAILED.labels(event.exit_reason).inc()
            case ExitIntentLateFill():
                LATE_FILLS.labels(event.exit_reason).inc()
            case _:
                pass  # the others are counted by nobody
