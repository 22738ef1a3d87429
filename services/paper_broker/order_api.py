"""Kite Connect v3 routes for orders and trades: bare ones, because every exit takes three calls of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from services.paper_broker.accounts import Account
from services.paper_broker.bare_routes import bare_route
from services.paper_broker.desk import Desk, change, client_of, desk_of, form_of
from services.paper_broker.kite_answers import DroppedAnswer, success
from services.paper_broker.kite_errors import KiteError, bad_input, no_such_order
from services.paper_broker.kite_format import Json
from services.paper_broker.kite_format import order_id as id_text
from services.paper_broker.order_forms import read_modification, read_placement
from services.paper_broker.orders import OrderRequest
from services.paper_broker.slicing import refuse_frozen, slices

router = APIRouter()

_route = partial(bare_route, router)


@_route("POST", "/orders/{variety}")
async def place_order(request: Request) -> Response:
    """Place an order. As at Kite, sending the same tag twice places two orders."""
    desk, client, form = desk_of(request), client_of(request), await form_of(request)
    _refuse_other_varieties(request)
    wanted = read_placement(form)
    if form.get("autoslice") == "true":
        return await _place_slices(desk, client, wanted)
    refuse_frozen(wanted.quantity, desk.freeze_quantity)
    accepted = await change(desk, lambda: desk.broker.place(client.user_id, wanted))
    if accepted.drop_after_ms is not None:
        return DroppedAnswer(accepted.drop_after_ms)
    return success({"order_id": id_text(accepted.order_number)})


async def _place_slices(desk: Desk, client: Account, wanted: OrderRequest) -> Response:
    """Place an order in slices; each child of the answer has an order id or an error, the first one is the parent."""
    children: list[Json] = []
    for quantity in slices(wanted.quantity, desk.freeze_quantity):
        one = replace(wanted, quantity=quantity)
        try:
            accepted = await change(desk, partial(desk.broker.place, client.user_id, one))
        except KiteError as error:
            about = {"code": error.status, "error_type": error.error_type, "message": str(error), "data": None}
            children.append({"error": about})
        else:
            children.append({"order_id": id_text(accepted.order_number)})
    placed = [child["order_id"] for child in children if "order_id" in child]
    return success({"order_id": placed[0] if placed else "", "children": children})


@_route("PUT", "/orders/{variety}/{order_id}")
async def modify_order(request: Request) -> Response:
    """Change an open order."""
    desk, client, form = desk_of(request), client_of(request), await form_of(request)
    _refuse_other_varieties(request)
    number, terms = _number(request), read_modification(form)
    await change(desk, lambda: desk.broker.modify(client.user_id, number, terms))
    return success({"order_id": request.path_params["order_id"]})


@_route("DELETE", "/orders/{variety}/{order_id}")
async def cancel_order(request: Request) -> Response:
    """Cancel an open order."""
    desk, client = desk_of(request), client_of(request)
    _refuse_other_varieties(request)
    number = _number(request)
    await change(desk, lambda: desk.broker.cancel(client.user_id, number))
    return success({"order_id": request.path_params["order_id"]})


@_route("GET", "/orders")
async def orders(request: Request) -> Response:
    """Return the day's order book."""
    return await run_in_threadpool(lambda: success(desk_of(request).records.orders(client_of(request).user_id)))


@_route("GET", "/orders/{order_id}")
async def order_history(request: Request) -> Response:
    """Return the states of an order."""
    client = client_of(request)
    return success(desk_of(request).records.order_history(client.user_id, _number(request)))


@_route("GET", "/trades")
async def trades(request: Request) -> Response:
    """Return the day's trade book."""
    return await run_in_threadpool(lambda: success(desk_of(request).records.trades(client_of(request).user_id)))


@_route("GET", "/orders/{order_id}/trades")
async def order_trades(request: Request) -> Response:
    """Return the fills of an order."""
    client = client_of(request)
    return success(desk_of(request).records.order_trades(client.user_id, _number(request)))


OTHER_VARIETIES: Final = {
    "amo": "After market orders (AMO) are not allowed while the market is open.",
    "co": "Cover orders (CO) are not allowed.",
    "iceberg": "Iceberg orders are not allowed.",
    "auction": "No auction is open for this instrument.",
}
"""Refusals of Kite's other varieties: the market of this broker is always open, and no exit needs the others."""


def _refuse_other_varieties(request: Request) -> None:
    variety = request.path_params["variety"]
    if variety != "regular":
        raise bad_input(OTHER_VARIETIES.get(variety, "Invalid `variety`."))


def _number(request: Request) -> int:
    order_id: str = request.path_params["order_id"]
    if not (order_id.isascii() and order_id.isdigit() and len(order_id) < 19):
        raise no_such_order()
    return int(order_id)
