"""Kite Connect v3 routes for sessions and the user."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.paper_broker import portfolio_format
from services.paper_broker.desk import AtDesk, Client, Desk, Form
from services.paper_broker.kite_answers import success
from services.paper_broker.kite_errors import KiteError, bad_input, bad_token
from services.paper_broker.kite_format import Json

router = APIRouter(tags=["kite"])

_SEGMENTS = ("equity", "commodity")


@router.post("/session/token")
def log_in(form: Form, desk: AtDesk) -> Response:
    """Exchange a request token and its checksum for the account's access token."""
    return success(_session(form, "request_token", desk))


@router.post("/session/refresh_token")
def renew(form: Form, desk: AtDesk) -> Response:
    """Exchange the refresh token of a log-in and its checksum for the account's access token."""
    account = desk.accounts.by_refresh_token(form.get("api_key", ""), form.get("refresh_token", ""))
    with desk.ledger.read() as books:
        is_renewable = account is not None and books.sessions.is_renewable(account.user_id)
    if not is_renewable:
        raise KiteError("TokenException", "Invalid `refresh_token`.")
    return success(_session(form, "refresh_token", desk))


@router.delete("/session/token")
def log_out(desk: AtDesk, api_key: str = "", access_token: str = "", refresh_token: str = "") -> Response:
    """End the session: the access token is rejected until the next log-in, and so is the refresh token if sent."""
    account = desk.accounts.by_header(f"token {api_key}:{access_token}")
    if account is None and refresh_token:
        account = desk.accounts.by_refresh_token(api_key, refresh_token)
    if account is None:
        raise bad_token()
    with desk.ledger.write() as books:
        books.sessions.log_out(account.user_id, desk.records.now_ms(), is_renewable=not refresh_token)
    return success(True)


def _session(form: dict[str, str], token_name: str, desk: Desk) -> Json:
    token, api_key, checksum = (form.get(name, "") for name in (token_name, "api_key", "checksum"))
    if not (token and api_key and checksum):
        raise bad_input(f"Missing `api_key`, `{token_name}` or `checksum`.")
    account = desk.accounts.by_checksum(api_key, token, checksum)
    if account is None:
        raise KiteError("TokenException", "Invalid `checksum`.")
    now = desk.records.now_ms()
    with desk.ledger.write() as books:
        books.sessions.log_in(account.user_id, now)
    return portfolio_format.session(account, now)


@router.get("/user/profile")
async def profile(client: Client) -> Response:
    """Return the user's profile."""
    return success(portfolio_format.profile(client))


@router.get("/user/margins")
def margins(client: Client, desk: AtDesk) -> Response:
    """Return the margins of every segment."""
    return success(portfolio_format.margins(desk.records.funds(client.user_id)))


@router.get("/user/margins/{segment}")
def margins_of_segment(segment: str, client: Client, desk: AtDesk) -> Response:
    """Return the margins of one segment."""
    if segment not in _SEGMENTS:
        raise bad_input("Invalid `segment`.")
    return success(portfolio_format.margins(desk.records.funds(client.user_id))[segment])
