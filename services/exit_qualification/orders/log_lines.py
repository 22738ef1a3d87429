"""Log lines about an exit, found by the trace of the exit."""

from __future__ import annotations

from services.exit_qualification.domain.intent import ExitIntent
from shared.ids import exit_traceparent
from shared.runtime.trace import in_trace


def of_exit(intent: ExitIntent) -> dict[str, str]:
    """Return the `extra` of a log line about an exit."""
    return in_trace(exit_traceparent(intent.signal_id))
