"""Events of exit qualification, built from the current rows.

Importing this module also registers their counters: every process with these events counts them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import services.exit_qualification.metrics  # noqa: F401  # registers the observers of the events made here
from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.exits import (
    ErrorDetail,
    ExitIntentApproved,
    ExitIntentCancelled,
    ExitIntentFailed,
    ExitIntentFilled,
    ExitIntentLateFill,
    ExitIntentPartiallyFilled,
    ExitIntentPlaced,
    ExitIntentRejected,
    ExitSignalPublished,
    Fill,
)


def signal_published(signal: ExitSignal) -> ExitSignalPublished:
    """Return the event of a detected signal."""
    return ExitSignalPublished(
        trade_id=signal.trade_id,
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        direction=signal.direction,
        exit_reason=signal.exit_reason,
        episode_id=signal.episode_id,
        detected_price=signal.detected_price,
        detected_at=signal.detected_at,
        leg=signal.leg,
    )


def approved(intent: ExitIntent, at: datetime) -> ExitIntentApproved:
    """Return the event of an intent approved by all gates."""
    return ExitIntentApproved(**_facts(intent, at))


def rejected(intent: ExitIntent, at: datetime) -> ExitIntentRejected:
    """Return the event of an intent rejected by a gate."""
    errors = [ErrorDetail(code=error["code"], message=error["message"]) for error in intent.errors]
    return ExitIntentRejected(**_facts(intent, at), errors=errors)


def placed(intent: ExitIntent, at: datetime) -> ExitIntentPlaced:
    """Return the event of an order accepted by the broker."""
    return ExitIntentPlaced(**_facts(intent, at))


def partially_filled(intent: ExitIntent, fills: list[Fill], at: datetime) -> ExitIntentPartiallyFilled:
    """Return the event of a partial fill; `fills` are all so far."""
    return ExitIntentPartiallyFilled(**_facts(intent, at), fills=fills)


def filled(intent: ExitIntent, fills: list[Fill], at: datetime) -> ExitIntentFilled:
    """Return the event of a complete fill; `time_to_fill_ms` is measured from placed to filled by our clock."""
    if intent.placed_at is None or intent.filled_at is None:
        raise ValueError(f"intent {intent.intent_id} is not filled")
    waited = intent.filled_at - intent.placed_at
    return ExitIntentFilled(
        **_facts(intent, at),
        filled_at=intent.filled_at,
        time_to_fill_ms=max(0, round(waited.total_seconds() * 1000)),
        fills=fills,
    )


def failed(intent: ExitIntent, at: datetime) -> ExitIntentFailed:
    """Return the event of an order refused or never placed."""
    error = ErrorDetail(code=intent.error_code or "UNKNOWN", message=intent.error_message or "")
    return ExitIntentFailed(**_facts(intent, at), errors=[error])


def cancelled(intent: ExitIntent, fills: list[Fill], at: datetime) -> ExitIntentCancelled:
    """Return the event of a cancelled intent; `fills` are those before its end."""
    return ExitIntentCancelled(**_facts(intent, at), reason=intent.cancel_reason or "UNKNOWN", fills=fills)


def late_fill(intent: ExitIntent, fills: list[Fill], at: datetime) -> ExitIntentLateFill:
    """Return the event of fills after the end; `fills` are all so far."""
    return ExitIntentLateFill(**_facts(intent, at), fills=fills)


def _facts(intent: ExitIntent, at: datetime) -> dict[str, Any]:
    return {
        "trade_id": intent.trade_id,
        "intent_id": intent.intent_id,
        "signal_id": intent.signal_id,
        "user_broker_id": intent.user_broker_id,
        "symbol": intent.symbol,
        "direction": intent.direction,
        "exit_reason": intent.exit_reason,
        "episode_id": intent.episode_id,
        "leg": intent.leg,
        "quantity": intent.quantity,
        "filled_quantity": intent.filled_quantity,
        "average_price": intent.average_price,
        "client_order_id": intent.client_order_id,
        "broker_order_id": intent.broker_order_id,
        "executable": intent.executable,
        "placed_at": intent.placed_at,
        "occurred_at": at,
    }
