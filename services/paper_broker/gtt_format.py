"""Kite's JSON format of triggers (GTT)."""

from __future__ import annotations

from services.paper_broker.book_time import kite_time
from services.paper_broker.gtts import Gtt, GttLeg
from services.paper_broker.kite_format import Json, named, number, order_id


def gtt(of: Gtt) -> Json:
    """Return an item of the account's triggers."""
    return {
        "id": of.trigger_id,
        "user_id": of.account,
        "parent_trigger": None,
        "type": of.kind,
        "created_at": kite_time(of.created_ms),
        "updated_at": kite_time(of.updated_ms),
        "expires_at": kite_time(of.expires_ms),
        "status": of.status,
        "condition": {
            **named(of.symbol),
            "last_price": number(of.last_units),
            "trigger_values": [number(leg.trigger_units) for leg in of.legs],
        },
        "orders": [_leg(of, leg) for leg in of.legs],
        "meta": {},
    }


def _leg(of: Gtt, leg: GttLeg) -> Json:
    exchange, _, tradingsymbol = of.symbol.partition(":")
    order = {
        "exchange": exchange,
        "tradingsymbol": tradingsymbol,
        "product": leg.product,
        "order_type": "LIMIT",
        "transaction_type": leg.side,
        "quantity": leg.quantity,
        "price": number(leg.limit_units),
    }
    return {**order, "result": _result(of, leg, order)}


def _result(of: Gtt, leg: GttLeg, order: Json) -> Json | None:
    """Return the outcome of a fired leg, None for any other."""
    if leg.triggered_ms is None or leg.triggered_units is None:
        return None
    return {
        **order,
        "account_id": of.account,
        "validity": "DAY",
        "meta": '{"app_id":1,"gtt":1}',
        "timestamp": kite_time(leg.triggered_ms),
        "triggered_at": number(leg.triggered_units),
        "order_result": {
            "status": "success" if leg.order_number is not None else "failed",
            "order_id": order_id(leg.order_number) if leg.order_number is not None else "",
            "rejection_reason": leg.refusal or "",
        },
    }
