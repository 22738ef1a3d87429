"""Sign in with an API token; sign out."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console.api_client import ApiFault, Json
from services.console.context import Context, Visitor
from services.console.sessions import check_csrf, new_session
from shared.errors import Forbidden
from shared.http.auth import Scope

router = APIRouter()

START = "/exits"
Next = Annotated[str, Query(max_length=2000)]
LONGEST_TOKEN = 500


@router.get("/")
async def start() -> RedirectResponse:
    """Lead to the first page."""
    return RedirectResponse(START, 303)


@router.get("/login")
async def login(request: Request, context: Context, next: Next = START) -> HTMLResponse:  # noqa: A002
    """Show the form."""
    session = context.cookies.read(request) or new_session()
    response = context.pages.page(request, session, "login.html", next=own_path(next), fault=None)
    context.cookies.write(response, session.with_notice(""))
    return response


@router.get("/login/again")
async def again(context: Context, session: Visitor, next: Next = START) -> RedirectResponse:  # noqa: A002
    """Lead to the form if an API no longer knows the token, and back if both know it."""
    await asyncio.gather(
        context.exit_api.get(session.token, "/whoami"), context.trade_api.get(session.token, "/whoami")
    )
    return RedirectResponse(own_path(next), 303)


@router.post("/login")
async def sign_in(
    request: Request,
    context: Context,
    token: Annotated[str, Form(max_length=LONGEST_TOKEN)],
    csrf: Annotated[str, Form()],
    next: Annotated[str, Form(max_length=2000)] = START,  # noqa: A002
) -> Response:
    """Ask the APIs who the token is of; keep it in the session if they know it."""
    session = context.cookies.read(request)
    if session is None:
        raise Forbidden("The sign-in form is too old. Open it again; the browser must accept cookies of this site.")
    check_csrf(request, session, csrf)
    try:
        caller = await _caller(context, token.strip())
    except ApiFault as fault:
        return context.pages.page(request, session, "login.html", status=401, next=own_path(next), fault=fault)
    response = RedirectResponse(own_path(next), 303)
    context.cookies.write(response, context.cookies.sign_in(session, token.strip(), caller["name"], caller["scopes"]))
    return response


@router.post("/logout")
async def sign_out(request: Request, context: Context, csrf: Annotated[str, Form()]) -> RedirectResponse:
    """Forget the token."""
    session = context.cookies.read(request)
    if session is not None:
        check_csrf(request, session, csrf)
    response = RedirectResponse("/login", 303)
    context.cookies.clear(response)
    return response


async def _caller(context: Context, token: str) -> Json:
    """Return the token's name and scopes; ask trade-api while exit-api is down."""
    if not token or not token.isascii() or not token.isprintable():
        raise ApiFault(
            "console", None, "This is no API token.", "Paste the token as `exitflow tokens create` printed it."
        )
    try:
        caller = await context.exit_api.get(token, "/whoami")
    except ApiFault as fault:
        if not fault.is_down:
            raise
        caller = await context.trade_api.get(token, "/whoami")
    if Scope.READ not in caller["scopes"]:
        raise ApiFault("console", 403, "The token lacks the scope read.", "Ask for a token of scope read.")
    return caller


def own_path(wanted: str) -> str:
    """Return a path of this site to go to; the first page if `wanted` leads elsewhere."""
    parts = urlsplit(wanted)
    safe = not parts.scheme and not parts.netloc and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if safe and "\\" not in wanted and wanted.isprintable() else START
