"""Kite Connect v3 routes for sessions, the user, orders and trades."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.paper_broker import portfolio_format
from services.paper_broker.desk import AtDesk, Client, Form
from services.paper_broker.kite_answers import DroppedAnswer, success
from services.paper_broker.kite_errors import KiteError, bad_input, bad_token, no_such_order
from services.paper_broker.kite_format import order_id as id_text
from services.paper_broker.order_forms import read_modification, read_placement

router = APIRouter(tags=["kite"])

OrderId = Annotated[str, Path(description="the broker's order id")]
Variety = Annotated[str, Path(description="only `regular` is served")]

_SEGMENTS = ("equity", "commodity")


@router.post("/session/token")
def log_in(form: Form, desk: AtDesk) -> Response:
    """Exchange a request token and its checksum for the account's access token."""
    token, api_key, checksum = (form.get(name, "") for name in ("request_token", "api_key", "checksum"))
    if not (token and api_key and checksum):
        raise bad_input("Missing `api_key`, `request_token` or `checksum`.")
    account = desk.accounts.by_checksum(api_key, token, checksum)
    if account is None:
        raise KiteError("TokenException", "Invalid `checksum`.")
    now = desk.records.now_ms()
    with desk.ledger.write() as books:
        books.sessions.log_in(account.user_id, now)
    return success(portfolio_format.session(account, now))


@router.delete("/session/token")
def log_out(api_key: str, access_token: str, desk: AtDesk) -> Response:
    """End the session: the token is rejected until the next log-in."""
    account = desk.accounts.by_header(f"token {api_key}:{access_token}")
    if account is None:
        raise bad_token()
    with desk.ledger.write() as books:
        books.sessions.log_out(account.user_id, desk.records.now_ms())
    return success(True)


@router.get("/user/profile")
async def profile(client: Client) -> Response:
    """Return the user's profile."""
    return success(portfolio_format.profile(client))


@router.get("/user/margins")
async def margins(client: Client) -> Response:
    """Return the margins of every segment."""
    del client
    return success(portfolio_format.margins())


@router.get("/user/margins/{segment}")
async def margins_of_segment(segment: str, client: Client) -> Response:
    """Return the margins of one segment."""
    del client
    if segment not in _SEGMENTS:
        raise bad_input("Invalid `segment`.")
    return success(portfolio_format.margins()[segment])


@router.post("/orders/{variety}")
def place_order(variety: Variety, form: Form, client: Client, desk: AtDesk) -> Response:
    """Place an order. As at Kite, sending the same tag twice places two orders."""
    _refuse_other_varieties(variety)
    accepted = desk.broker.place(client.user_id, read_placement(form))
    if accepted.drop_after_ms is not None:
        return DroppedAnswer(accepted.drop_after_ms)
    return success({"order_id": id_text(accepted.order_number)})


@router.put("/orders/{variety}/{order_id}")
def modify_order(variety: Variety, order_id: OrderId, form: Form, client: Client, desk: AtDesk) -> Response:
    """Change an open order."""
    _refuse_other_varieties(variety)
    desk.broker.modify(client.user_id, _number(order_id), read_modification(form))
    return success({"order_id": order_id})


@router.delete("/orders/{variety}/{order_id}")
def cancel_order(variety: Variety, order_id: OrderId, client: Client, desk: AtDesk) -> Response:
    """Cancel an open order."""
    _refuse_other_varieties(variety)
    desk.broker.cancel(client.user_id, _number(order_id))
    return success({"order_id": order_id})


@router.get("/orders")
def orders(client: Client, desk: AtDesk) -> Response:
    """Return the day's order book."""
    return success(desk.records.orders(client.user_id))


@router.get("/orders/{order_id}")
async def order_history(order_id: OrderId, client: Client, desk: AtDesk) -> Response:
    """Return the states of an order."""
    return success(desk.records.order_history(client.user_id, _number(order_id)))


@router.get("/trades")
def trades(client: Client, desk: AtDesk) -> Response:
    """Return the day's trade book."""
    return success(desk.records.trades(client.user_id))


@router.get("/orders/{order_id}/trades")
async def order_trades(order_id: OrderId, client: Client, desk: AtDesk) -> Response:
    """Return the fills of an order."""
    return success(desk.records.order_trades(client.user_id, _number(order_id)))


def _refuse_other_varieties(variety: str) -> None:
    if variety != "regular":
        raise bad_input(f"Variety `{variety}` is not served, only `regular`.")


def _number(order_id: str) -> int:
    if not (order_id.isascii() and order_id.isdigit() and len(order_id) < 19):
        raise no_such_order()
    return int(order_id)
