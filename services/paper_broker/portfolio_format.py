"""Kite's JSON formats of the portfolio and the user."""

from __future__ import annotations

from collections.abc import Iterable

from services.paper_broker.accounts import Account
from services.paper_broker.book_time import kite_time
from services.paper_broker.funds import Funds
from services.paper_broker.kite_format import Json, named, number
from services.paper_broker.positions import Position, Turnover

EXCHANGES = ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"]
PRODUCTS = ["CNC", "MIS", "NRML"]
ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def positions(known: Iterable[Position]) -> Json:
    """Return net and day positions. Delivery shares of earlier days count only as holdings."""
    listed = [position.day_only() if position.product == "CNC" else position for position in known]
    shown = [position for position in listed if position.net.net_quantity or position.today != Turnover()]
    return {
        "net": [_position(position) for position in shown],
        "day": [_position(position.day_only()) for position in shown if position.today != Turnover()],
    }


def holdings(known: Iterable[Position]) -> list[Json]:
    """Return delivery shares of earlier days; shares sold today are `used_quantity` and a day position."""
    delivered = (position for position in known if position.product == "CNC")
    return [_holding(position) for position in delivered if position.overnight.net_quantity]


def _position(of: Position) -> Json:
    net, last = of.net, of.last_units or 0
    pnl = net.pnl(last)
    unrealised = net.net_quantity * (last - net.open_average)
    return {
        **named(of.symbol),
        "product": of.product,
        "quantity": net.net_quantity,
        "overnight_quantity": of.overnight.net_quantity,
        "multiplier": 1,
        "average_price": number(net.open_average),
        "close_price": 0,
        "last_price": number(last),
        "value": number(net.sell_value - net.buy_value),
        "pnl": number(pnl),
        "m2m": number(pnl),
        "unrealised": number(unrealised),
        "realised": number(pnl - unrealised),
        **_sides("", net),
        "buy_m2m": number(net.buy_value),
        "sell_m2m": number(net.sell_value),
        **_sides("day_", of.today),
    }


def _sides(prefix: str, turnover: Turnover) -> Json:
    return {
        f"{prefix}buy_quantity": turnover.buy_quantity,
        f"{prefix}buy_price": number(turnover.buy_average),
        f"{prefix}buy_value": number(turnover.buy_value),
        f"{prefix}sell_quantity": turnover.sell_quantity,
        f"{prefix}sell_price": number(turnover.sell_average),
        f"{prefix}sell_value": number(turnover.sell_value),
    }


def _holding(of: Position) -> Json:
    held, last = of.overnight, of.last_units or 0
    return {
        **named(of.symbol),
        "isin": "",
        "product": of.product,
        "price": 0,
        "quantity": held.net_quantity,
        "used_quantity": min(of.today.sell_quantity, max(held.net_quantity, 0)),
        "t1_quantity": 0,
        "realised_quantity": held.net_quantity,
        "authorised_quantity": 0,
        "opening_quantity": held.net_quantity,
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": number(held.open_average),
        "last_price": number(last),
        "close_price": 0,
        "pnl": number(held.net_quantity * (last - held.open_average)),
        "day_change": 0,
        "day_change_percentage": 0,
    }


def profile(account: Account) -> Json:
    """Return the user."""
    return {
        "user_id": account.user_id,
        "user_type": "individual",
        "email": "",
        "user_name": account.user_id,
        "user_shortname": account.user_id,
        "broker": "PAPER",
        "exchanges": EXCHANGES,
        "products": PRODUCTS,
        "order_types": ORDER_TYPES,
        "avatar_url": None,
        "meta": {"demat_consent": "consent"},
    }


def session(account: Account, login_ms: int) -> Json:
    """Return the response to a log-in."""
    return {
        **profile(account),
        "api_key": account.credentials.api_key,
        "access_token": account.credentials.access_token,
        "public_token": "",
        "enctoken": "",
        "refresh_token": account.refresh_token,
        "silo": "",
        "login_time": kite_time(login_ms),
    }


def segment_margins(funds: Funds) -> Json:
    """Return the margins of one segment with these funds."""
    debits = ("debits", "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span", "turnover")
    return {
        "enabled": True,
        "net": number(funds.available),
        "available": {
            "adhoc_margin": 0,
            "cash": number(funds.cash),
            "opening_balance": number(funds.cash),
            "live_balance": number(funds.available),
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            **dict.fromkeys(debits, 0),
            "debits": number(funds.used - funds.realised),
            "m2m_realised": number(funds.realised),
            "holding_sales": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
        },
    }


def margins(funds: Funds) -> Json:
    """Return the margins of every segment; the first one's funds serve all of them."""
    return {"equity": segment_margins(funds), "commodity": segment_margins(Funds(0))}
