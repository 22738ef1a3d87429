"""Errors as problem+json (RFC 9457), each with a stable code."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from starlette.exceptions import HTTPException

from shared.database_failures import passes, reason
from shared.errors import ExitflowError, InvalidInput, Unavailable

log = logging.getLogger(__name__)


class ProblemResponse(JSONResponse):
    """A response of type application/problem+json."""

    media_type = "application/problem+json"


def problem(status: int, code: str, detail: str, **more: Any) -> ProblemResponse:
    """A problem document: type, title, status, detail, and our stable `code`."""
    body = {
        "type": f"urn:exitflow:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return ProblemResponse(body, status_code=status, headers=headers)


def of_error(error: ExitflowError) -> ProblemResponse:
    """The problem document of one of our own errors."""
    return problem(error.http_status, error.code, str(error), retryable=error.retryable, **error.details)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document; what is not expected is logged and says nothing."""

    @app.exception_handler(ExitflowError)
    def ours(_: Request, error: ExitflowError) -> ProblemResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> ProblemResponse:
        found = [{"field": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in error.errors()]
        return of_error(InvalidInput("the request is not valid", errors=found))

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> ProblemResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return problem(error.status_code, code, str(error.detail))

    _install_database(app)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> ProblemResponse:
        return _unexpected(request, error)


def _install_database(app: FastAPI) -> None:
    @app.exception_handler(DBAPIError)
    def failed(request: Request, error: DBAPIError) -> ProblemResponse:
        return _no_database(error) if passes(error) else _unexpected(request, error)

    @app.exception_handler(PoolExhausted)
    def busy(_: Request, __: PoolExhausted) -> ProblemResponse:
        log.warning("every connection to the database is in use")
        return of_error(Unavailable("every connection to the database is in use"))


def _no_database(error: DBAPIError) -> ProblemResponse:
    log.warning("the database cannot do this now: %s", reason(error))
    return of_error(Unavailable(f"the database cannot do this now: {reason(error)}"))


def _unexpected(request: Request, error: Exception) -> ProblemResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal_error", "an error that was not expected; it is in the log")
