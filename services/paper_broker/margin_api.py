"""Kite Connect v3 routes for margins and charges of orders: JSON bodies, as the official client sends them."""

from __future__ import annotations

from decimal import Decimal

from fastapi import APIRouter, Request, Response

from services.paper_broker.desk import AtDesk, Client, Desk
from services.paper_broker.kite_answers import success
from services.paper_broker.kite_format import Json
from services.paper_broker.margins import MarginOrder, basket, contract_note, order_margin, read_margin_orders
from shared.money import from_units

router = APIRouter(tags=["kite"])


@router.post("/margins/orders")
async def order_margins(request: Request, client: Client, desk: AtDesk) -> Response:
    """Return the margin of each order."""
    del client
    return success(_margins(desk, read_margin_orders(await request.body())))


@router.post("/margins/basket")
async def basket_margins(request: Request, client: Client, desk: AtDesk) -> Response:
    """Return the margins of all orders together."""
    del client
    margins = _margins(desk, read_margin_orders(await request.body()))
    return success(basket(margins, is_compact=request.query_params.get("mode") == "compact"))


@router.post("/charges/orders")
async def contract_notes(request: Request, client: Client) -> Response:
    """Return the charges of each order."""
    del client
    return success([contract_note(order) for order in read_margin_orders(await request.body())])


def _margins(desk: Desk, orders: list[MarginOrder]) -> list[Json]:
    last = {quote.symbol: from_units(quote.last_units) for quote in desk.records.quotes({it.symbol for it in orders})}
    return [order_margin(order, last.get(order.symbol, Decimal(0))) for order in orders]
