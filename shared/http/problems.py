"""Errors as problem+json (RFC 9457), each with a stable code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.errors import ExitflowError, InvalidInput, Unavailable
from shared.postgres.failures import passes, reason

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50
MAX_TEXT = 300
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    431: "headers_too_large",
    501: "not_implemented",
}
"""Codes of refusals by the framework; Python's phrases change between versions, codes must not."""


class ProblemResponse(JSONResponse):
    """A response of type application/problem+json."""

    media_type = MEDIA_TYPE


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> ProblemResponse:
    """Return a problem document: type, title, status, detail, our stable `code`, and whether a retry can help."""
    body = {
        "type": f"urn:exitflow:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": False,
        **more,
    }
    challenge = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return ProblemResponse(body, status_code=status, headers={**challenge, **(headers or {})})


def of_error(error: ExitflowError) -> ProblemResponse:
    """Return the problem document of one of our own errors."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    details = {"retryable": error.retryable, **error.details}
    return problem(error.http_status, error.code, str(error), headers=headers, **details)


def of_framework(status: int, detail: str, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """Return the problem document of an error raised by the framework or the protocol."""
    code = _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    return problem(status, code, detail, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document; log unexpected errors and hide their text."""
    # Coroutines: an answer never waits for a thread while all of them wait for the database.

    @app.exception_handler(ExitflowError)
    async def ours(_: Request, error: ExitflowError) -> ProblemResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> ProblemResponse:
        return of_error(_invalid(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> ProblemResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed_methods(request))
        return of_framework(error.status_code, str(error.detail), headers)

    _install_database(app)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> ProblemResponse:
        return _unexpected(request, error)


def _install_database(app: FastAPI) -> None:
    @app.exception_handler(DBAPIError)
    async def failed(request: Request, error: DBAPIError) -> ProblemResponse:
        return _no_database(error) if passes(error) else _unexpected(request, error)

    @app.exception_handler(PoolExhausted)
    async def busy(_: Request, __: PoolExhausted) -> ProblemResponse:
        log.warning("every connection to the database is in use")
        return of_error(Unavailable("every connection to the database is in use"))


def _invalid(error: RequestValidationError) -> InvalidInput:
    found = [
        {"field": shown(".".join(map(str, item["loc"]))), "message": shown(item["msg"])}
        for item in error.errors()[:MAX_ERRORS]
    ]
    return InvalidInput("the request is not valid", errors=found)


def shown(text: str) -> str:
    """Return caller-supplied text safe to send back: short, and without surrogates, as UTF-8 cannot encode them."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of every route at the path; the framework names those of the first route alone."""
    asked = {name: request.scope[name] for name in ("type", "path", "root_path")}
    return [
        method
        for method in _METHODS
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _no_database(error: DBAPIError) -> ProblemResponse:
    log.warning("the database cannot do this now: %s", reason(error))
    return of_error(Unavailable(f"the database cannot do this now: {reason(error)}"))


def _unexpected(request: Request, error: Exception) -> ProblemResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal_error", "an unexpected error; it is in the log")
