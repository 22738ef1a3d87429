"""Kite's JSON formats of orders, trades, quotes and instruments. Prices stay exact: ``Decimal(str(x))``."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable
from typing import Any

from services.paper_broker.book_time import kite_time
from services.paper_broker.order_store import Fill
from services.paper_broker.orders import Order
from services.paper_broker.quotes import Quote
from shared.money import SCALE

Json = dict[str, Any]

INSTRUMENT_COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)
TICK_SIZE = 0.05
LOT_SIZE = 1
_DEPTH_LEVELS = 5


def number(units: int) -> int | float:
    """Return units of 1/10,000 rupee as Kite writes amounts; whole amounts have no decimal point.

    The quotient is the float nearest to the decimal. Its shortest text is the decimal again, up to 2^53 units.
    """
    whole, rest = divmod(units, SCALE)
    return units / SCALE if rest else whole


def order_id(order_number: int) -> str:
    """Return an order number as text, as clients see it."""
    return str(order_number)


def exchange_order_id(order_number: int) -> str:
    """Return the order's id as from an exchange."""
    return f"1{order_number}"


def instrument_token(symbol: str) -> int:
    """Return a stable number for a symbol."""
    return zlib.crc32(symbol.encode()) & 0x7FFFFFFF


def named(symbol: str) -> Json:
    """Return the identifying fields of an instrument; `symbol` is ``EXCHANGE:TRADINGSYMBOL``."""
    exchange, _, tradingsymbol = symbol.partition(":")
    return {"exchange": exchange, "tradingsymbol": tradingsymbol, "instrument_token": instrument_token(symbol)}


def order(of: Order) -> Json:
    """Return an item of the order book."""
    at_exchange = of.status != "REJECTED"
    return {
        "placed_by": of.account,
        "order_id": order_id(of.number),
        "exchange_order_id": exchange_order_id(of.number) if at_exchange else None,
        "parent_order_id": None,
        "status": of.status,
        "status_message": of.status_message,
        "status_message_raw": of.status_message,
        "order_timestamp": kite_time(of.placed_ms),
        "exchange_update_timestamp": kite_time(of.updated_ms) if at_exchange else None,
        "exchange_timestamp": kite_time(of.placed_ms) if at_exchange else None,
        "variety": "regular",
        "modified": bool(of.modified),
        **named(of.symbol),
        "order_type": of.order_type,
        "transaction_type": of.side,
        "validity": of.validity,
        "validity_ttl": of.ttl_minutes or 0,
        "product": of.product,
        "quantity": of.quantity,
        "disclosed_quantity": 0,
        "price": number(of.limit_units or 0),
        "trigger_price": number(of.trigger_units or 0),
        "auction_number": None,
        "average_price": number(of.average_units),
        "filled_quantity": of.filled_quantity,
        "pending_quantity": of.unfilled if of.is_working else 0,
        "cancelled_quantity": of.unfilled if of.status == "CANCELLED" else 0,
        "market_protection": number(of.protection_units),
        "meta": {},
        "tag": of.tag,
        "tags": [of.tag] if of.tag else [],
        "guid": f"paper{of.number}",
    }


def order_history(states: Iterable[Order]) -> list[Json]:
    """Return the states of an order since its arrival, each with its time."""
    items = [{**order(state), "order_timestamp": kite_time(state.updated_ms)} for state in states]
    received = {**items[0], "status": "PUT ORDER REQ RECEIVED", "status_message": None, "status_message_raw": None}
    untouched = {"filled_quantity": 0, "average_price": 0, "pending_quantity": items[0]["quantity"]}
    return [{**received, **untouched, "exchange_order_id": None}, *items]


def trade(of: Fill) -> Json:
    """Return an item of the trade book; as at Kite, its `order_timestamp` has no date."""
    filled_at = kite_time(of.filled_ms)
    return {
        "trade_id": str(of.trade_number),
        "order_id": order_id(of.order_number),
        "exchange_order_id": exchange_order_id(of.order_number),
        **named(of.symbol),
        "product": of.product,
        "transaction_type": of.side,
        "quantity": of.quantity,
        "average_price": number(of.price_units),
        "fill_timestamp": filled_at,
        "exchange_timestamp": filled_at,
        "order_timestamp": filled_at[-8:],
    }


def ltp(of: Quote) -> Json:
    """Return the short quote."""
    return {"instrument_token": instrument_token(of.symbol), "last_price": number(of.last_units)}


def ohlc(of: Quote) -> Json:
    """Return the short quote with the day's prices."""
    return {
        **ltp(of),
        "ohlc": {
            "open": number(of.open_units),
            "high": number(of.high_units),
            "low": number(of.low_units),
            "close": number(of.close_units),
        },
    }


def quote(of: Quote, now_ms: int) -> Json:
    """Return the full quote. Only last prices are known: volumes are 0 and the depth is empty."""
    none = {"price": 0, "quantity": 0, "orders": 0}
    unknown = ("last_quantity", "buy_quantity", "sell_quantity", "volume", "average_price", "oi", "oi_day_high")
    return {
        **ohlc(of),
        "timestamp": kite_time(now_ms),
        "last_trade_time": kite_time(of.at_us // 1000),
        **dict.fromkeys(unknown, 0),
        "oi_day_low": 0,
        "net_change": number(of.last_units - of.close_units) if of.close_units else 0,
        "lower_circuit_limit": 0,
        "upper_circuit_limit": 0,
        "depth": {"buy": [none] * _DEPTH_LEVELS, "sell": [none] * _DEPTH_LEVELS},
    }


def instruments_csv(symbols: Iterable[str], last: dict[str, int]) -> str:
    """Return the instruments as the CSV of 12 columns; `last` holds last prices in units by symbol."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(INSTRUMENT_COLUMNS)
    for symbol in symbols:
        exchange, _, tradingsymbol = symbol.partition(":")
        token, price = instrument_token(symbol), number(last.get(symbol, 0))
        traits = (tradingsymbol, tradingsymbol, price, "", 0, TICK_SIZE, LOT_SIZE, "EQ", exchange, exchange)
        rows.writerow((token, token >> 8, *traits))
    return text.getvalue()
