"""Kite Connect v3 routes for the portfolio, quotes and instruments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.paper_broker import kite_format
from services.paper_broker.bare_routes import bare_route
from services.paper_broker.conversions import read_conversion
from services.paper_broker.desk import AtDesk, Client, Form, client_of, desk_of
from services.paper_broker.kite_answers import success

router = APIRouter(tags=["kite"])

Instruments = Annotated[list[str], Query(max_length=1000, description="`EXCHANGE:TRADINGSYMBOL`, repeated")]
NO_INSTRUMENTS: list[str] = []


@bare_route(router, "GET", "/portfolio/positions")
async def positions(request: Request) -> Response:
    """Return net and day positions."""
    client = client_of(request)
    return success(desk_of(request).records.positions(client.user_id))


@router.put("/portfolio/positions")
def convert_position(form: Form, client: Client, desk: AtDesk) -> Response:
    """Move an open quantity to another product."""
    desk.broker.convert(client.user_id, read_conversion(form))
    return success(True)


@router.get("/portfolio/holdings")
def holdings(client: Client, desk: AtDesk) -> Response:
    """Return delivery shares of earlier days."""
    return success(desk.records.holdings(client.user_id))


@router.get("/quote")
def quote(client: Client, desk: AtDesk, i: Instruments = NO_INSTRUMENTS) -> Response:
    """Return full quotes; omit instruments without a trade."""
    del client
    now = desk.records.now_ms()
    return success({known.symbol: kite_format.quote(known, now) for known in desk.records.quotes(i)})


@router.get("/quote/ohlc")
def quote_ohlc(client: Client, desk: AtDesk, i: Instruments = NO_INSTRUMENTS) -> Response:
    """Return last prices and the day's prices."""
    del client
    return success({known.symbol: kite_format.ohlc(known) for known in desk.records.quotes(i)})


@router.get("/quote/ltp")
def quote_ltp(client: Client, desk: AtDesk, i: Instruments = NO_INSTRUMENTS) -> Response:
    """Return last prices."""
    del client
    return success({known.symbol: kite_format.ltp(known) for known in desk.records.quotes(i)})


@router.get("/instruments")
def instruments(client: Client, desk: AtDesk) -> Response:
    """Return every instrument known to this broker."""
    del client
    return Response(desk.records.instruments(), media_type="text/csv")


@router.get("/instruments/{exchange}")
def instruments_of_exchange(exchange: str, client: Client, desk: AtDesk) -> Response:
    """Return the instruments of one exchange."""
    del client
    return Response(desk.records.instruments(exchange), media_type="text/csv")
