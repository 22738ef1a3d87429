"""HTTP responses of the broker: Kite's envelopes, its errors, and dropped connections."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from services.paper_broker.kite_errors import HTTP_STATUS, ErrorType, KiteError

log = logging.getLogger(__name__)


def success(data: Any) -> JSONResponse:
    """Return ``{"status": "success", "data": ...}``."""
    return JSONResponse({"status": "success", "data": data})


def failure(error_type: ErrorType, message: str, status: int) -> JSONResponse:
    """Return ``{"status": "error", ...}``; `error_type` is never null because the official client fails on null."""
    return JSONResponse(
        {"status": "error", "message": message, "data": None, "error_type": error_type}, status_code=status
    )


class LostRequest(Exception):
    """The call's connection is cut after `after_ms`, and nothing was done."""

    def __init__(self, after_ms: int) -> None:
        super().__init__(f"connection to be cut after {after_ms} ms")
        self.after_ms = after_ms


class DroppedAnswer(Response):
    """Response with a wait and a cut connection: the client cannot know the result of its call."""

    def __init__(self, after_ms: int) -> None:
        super().__init__(media_type="application/json")
        self._after_s = after_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce a response and never finish it (ASGI), so the server closes the connection."""
        del scope, receive
        await asyncio.sleep(self._after_s)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def install_errors(app: FastAPI) -> None:
    """Answer every error of `app` in Kite's format; log unexpected errors without showing details."""

    @app.exception_handler(KiteError)
    def refused(_: Request, error: KiteError) -> JSONResponse:
        return failure(error.error_type, str(error), error.status)

    @app.exception_handler(LostRequest)
    def lost(_: Request, error: LostRequest) -> Response:
        return DroppedAnswer(error.after_ms)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        return failure("InputException", found, HTTP_STATUS["InputException"])

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return failure("GeneralException", str(error.detail), error.status_code)

    @app.exception_handler(sqlite3.OperationalError)
    def no_ledger(request: Request, error: sqlite3.OperationalError) -> JSONResponse:
        log.warning("%s %s failed: the ledger: %s", request.method, request.url.path, error)
        return failure("NetworkException", f"The ledger: {error}.", HTTP_STATUS["NetworkException"])

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return failure("GeneralException", "Something went wrong.", HTTP_STATUS["GeneralException"])
