"""Event of a protective stop, built from its current row."""

from __future__ import annotations

from datetime import datetime

from services.exit_qualification.domain.protective_stop import ProtectiveStop
from shared.contracts.protective_stops import ProtectiveStopChanged


def changed(stop: ProtectiveStop, at: datetime) -> ProtectiveStopChanged:
    """Return the event of a stop confirmed, ended or triggered by the broker."""
    return ProtectiveStopChanged(
        trade_id=stop.trade_id,
        stop_id=stop.stop_id,
        user_broker_id=stop.user_broker_id,
        symbol=stop.symbol,
        direction=stop.direction,
        status=stop.status,
        quantity=stop.quantity,
        trigger_price=stop.trigger_price,
        client_order_id=stop.client_order_id,
        broker_order_id=stop.broker_order_id,
        intent_id=stop.intent_id,
        reason=stop.end_reason,
        message=stop.error_message,
        occurred_at=at,
    )
