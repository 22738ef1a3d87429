"""Intents at any status, put where a test needs them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, text

from shared.contracts.vocabulary import IntentStatus
from shared.ids import client_order_id, new_id

SIGNAL = text("""
INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_at)
VALUES (:signal_id, :trade_id, 'NSE:INFY', 'LONG', 'EXTERNAL', 1, now())
""")
# Only an EXTERNAL intent may start anywhere: its guard is on changes alone.
INTENT = text("""
INSERT INTO exit_intents (
  intent_id, signal_id, trade_id, user_broker_id, symbol, direction, exit_reason, episode_id, status, quantity,
  order_type, product_type, executable, gates, client_order_id, filled_quantity, average_price, broker_order_id,
  error_code, cancel_reason, filled_at, submitted_at)
VALUES (
  :intent_id, :signal_id, :trade_id, 'paper', 'NSE:INFY', 'LONG', 'EXTERNAL', 1, :status, 100,
  'MARKET', 'MIS', true, '[]', :client_order_id, :filled, 1010, :broker_order_id,
  'X', 'X', now(), now() - CAST(:sent_ago AS interval))
""")


def put_intent(
    connection: Connection, status: IntentStatus, sent_ago: timedelta | None, broker_order_id: str | None = "1"
) -> None:
    """An intent at this status, past the guard, with whatever its status needs; never sent if `sent_ago` is None."""
    ids = {"signal_id": new_id(), "trade_id": new_id(), "intent_id": (intent_id := new_id())}
    connection.execute(SIGNAL, ids)
    order = {
        "client_order_id": client_order_id(intent_id),
        "broker_order_id": broker_order_id,
        "filled": 0 if broker_order_id is None else 100,
    }
    connection.execute(INTENT, {**ids, **order, "status": status, "sent_ago": sent_ago})
