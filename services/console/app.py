"""HTTP application of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from services.console.api_client import Api, ApiFault
from services.console.context import ConsoleContext, SignInNeeded, context_of
from services.console.pages import (
    book,
    bulk_exit,
    bulk_withdrawal,
    exit_decisions,
    exits,
    login,
    outbox,
    stops,
    system,
    trade,
)
from services.console.readiness import ProcessProbes
from services.console.rendering import Pages
from services.console.security_headers import SecurityHeaders
from services.console.sessions import SessionCookies, new_session
from services.console.static_files import KeptFiles
from shared.clock import Clock
from shared.errors import ExitflowError
from shared.http.app import create_app
from shared.runtime.catalogue import CONSOLE
from shared.runtime.health import Health
from shared.settings import Settings

ROUTERS = (
    login.router,
    exits.router,
    stops.router,
    bulk_exit.router,
    bulk_withdrawal.router,
    exit_decisions.router,
    trade.router,
    book.router,
    outbox.router,
    system.router,
)


def create(
    settings: Settings, health: Health, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> FastAPI:
    """Return the application; `transport` carries its requests to the APIs, by default over the network."""
    app = create_app(CONSOLE.name, health)
    cookies = SessionCookies(settings, clock)
    context = ConsoleContext(
        exit_api=Api("exit-api", settings.exit_api_url, transport),
        trade_api=Api("trade-api", settings.trade_api_url, transport),
        probes=ProcessProbes(settings.console_processes, transport),
        cookies=cookies,
        pages=Pages(cookies, clock),
        clock=clock,
        refresh_s=settings.console_refresh_ms / 1000,
        trace_url=settings.console_trace_url,
    )
    app.state.context = context
    app.router.lifespan_context = _closing(context)
    app.add_middleware(SecurityHeaders, https=settings.console_https)
    for router in ROUTERS:
        app.include_router(router, include_in_schema=False)
    app.mount("/static", KeptFiles())
    _answer_errors_with_pages(app)
    return app


def _closing(context: ConsoleContext) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return the lifespan for closing the connections at the end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await context.close()

    return lifespan


def _answer_errors_with_pages(app: FastAPI) -> None:
    @app.exception_handler(SignInNeeded)
    def sign_in(request: Request, _: SignInNeeded) -> Response:
        return _to_login(request)

    @app.exception_handler(ExitflowError)
    def ours(request: Request, error: ExitflowError) -> Response:
        if isinstance(error, ApiFault) and error.status == 401:
            return _to_login(request, forget=True)
        is_unknown = isinstance(error, ApiFault) and error.status == 404
        status = 404 if is_unknown else error.http_status
        return _error_page(request, status, str(error), getattr(error, "advice", ""))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()[:5])
        return _error_page(request, 422, f"The request is not valid: {wrong}.", "Correct the input and try again.")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return _error_page(request, 404, "There is no such page.", "Choose a page from the menu.")
        return _error_page(request, error.status_code, f"{error.detail}.", "")


def _to_login(request: Request, *, forget: bool = False) -> Response:
    """Lead to the sign-in and back; a request by htmx or of a stream must not show it in a part of the page."""
    context = context_of(request)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = "/login" if request.method != "GET" else f"/login?{urlencode({'next': wanted})}"
    if request.url.path.endswith("/stream"):
        return Response(status_code=204)  # tells the browser's EventSource not to connect again
    response: Response = RedirectResponse(target, 303)
    if "hx-request" in request.headers:
        response = Response(headers={"HX-Redirect": "/login"})
    if forget:
        notice = "The token is no longer valid. Sign in again."
        context.cookies.write(response, new_session().with_notice(notice))
    return response


def _error_page(request: Request, status: int, message: str, advice: str) -> Response:
    context = context_of(request)
    session = context.cookies.read(request) or new_session()
    return context.pages.page(request, session, "error.html", status=status, message=message, advice=advice)
