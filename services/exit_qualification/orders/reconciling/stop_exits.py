"""Exit with the order of a stop at the broker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.ids import new_id


def stop_exit(
    stop: ProtectiveStop, signal: ExitSignal, status: IntentStatus, quantity: int, now: datetime, **facts: Any
) -> ExitIntent:
    """Return a new exit with the stop's tag; `facts` are further fields of it."""
    return ExitIntent(
        intent_id=new_id(),
        signal_id=signal.signal_id,
        trade_id=stop.trade_id,
        user_broker_id=stop.user_broker_id,
        symbol=stop.symbol,
        direction=stop.direction,
        exit_reason=ExitReason.STOP_LOSS,
        episode_id=signal.episode_id,
        status=status,
        quantity=quantity,
        product_type=stop.product_type,
        client_order_id=stop.client_order_id,
        created_at=now,
        updated_at=now,
        exit_level=stop.trigger_price,
        **facts,
    )
