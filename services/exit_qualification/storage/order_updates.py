"""Notification of exit-orders about a change of our order at the broker."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

ORDER_UPDATES: Final = "broker_order_updates"
"""Channel for waking the reconciler, and for reading the books for protective stops."""

NOTIFY = text(f"""
-- order_updates.notify: only for an order of ours; the tag is known before the order is sent, the order's id after
SELECT pg_notify('{ORDER_UPDATES}', '')
 WHERE EXISTS (SELECT FROM exit_intents WHERE client_order_id = :tag AND user_broker_id = :user_broker_id)
    OR EXISTS (SELECT FROM exit_intents WHERE broker_order_id = :order_id AND user_broker_id = :user_broker_id)
    OR EXISTS (SELECT FROM protective_stops WHERE client_order_id = :tag AND user_broker_id = :user_broker_id)
""")  # noqa: S608  # a name of our own


def notify_order_update(connection: Connection, user_broker_id: str, order_id: str, tag: str | None) -> bool:
    """Wake the reconciler when the transaction commits; return False for a foreign order."""
    wanted = {"user_broker_id": user_broker_id, "order_id": order_id, "tag": tag}
    return connection.execute(NOTIFY, wanted).first() is not None
