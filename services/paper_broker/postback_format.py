"""Kite's JSON format of an order update (postback)."""

from __future__ import annotations

import hashlib

from services.paper_broker import kite_format
from services.paper_broker.kite_format import Json
from services.paper_broker.orders import Order

APP_ID = 1
"""Number of the one app of each account."""


def postback(of: Order, api_secret: str) -> Json:
    """Return the update of an order. As at Kite, a fill or a change of a still working order is an UPDATE."""
    item = kite_format.order(of)
    return {
        **item,
        "status": "UPDATE" if of.is_working else of.status,
        "user_id": of.account,
        "app_id": APP_ID,
        "unfilled_quantity": of.unfilled,
        "checksum": checksum(item["order_id"], item["order_timestamp"], api_secret),
    }


def checksum(order_id: str, order_timestamp: str, api_secret: str) -> str:
    """Return the SHA-256 as proof of the sender."""
    return hashlib.sha256(f"{order_id}{order_timestamp}{api_secret}".encode()).hexdigest()
