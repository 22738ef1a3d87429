"""Bounds of a request: its target, headers and body; a request beyond them is refused before any route sees it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problems import ProblemResponse, problem

MAX_BODY_BYTES = 256 * 1024
MAX_PATH_BYTES = 2 * 1024
MAX_QUERY_BYTES = 24 * 1024
"""A filter of 1,000 characters takes up to 12,000 bytes percent-encoded, and a cursor up to 10,000 beside it."""

MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024

Headers = list[tuple[bytes, bytes]]


class RequestBounds:
    """ASGI middleware answering 400, 413, 414 or 431 to a request beyond the bounds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its body counted as it arrives, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _refusal(scope: Scope) -> ProblemResponse | None:
    headers: Headers = scope["headers"]
    if len(scope.get("raw_path") or b"") > MAX_PATH_BYTES:
        return problem(414, "uri_too_long", f"at most {MAX_PATH_BYTES} bytes of path")
    if len(scope["query_string"]) > MAX_QUERY_BYTES:
        return problem(414, "uri_too_long", f"at most {MAX_QUERY_BYTES} bytes of query")
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return problem(431, "headers_too_large", f"at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together")
    return _refusal_of_length(dict(headers))


def _refusal_of_length(headers: dict[bytes, bytes]) -> ProblemResponse | None:
    declared = headers.get(b"content-length")
    if declared is None:
        return None
    if b"transfer-encoding" in headers:
        # Two parties with different framings of the body disagree on where the next request begins (RFC 9112, 6.3).
        answer = problem(400, "ambiguous_length", "send one of Content-Length and Transfer-Encoding")
        answer.headers["Connection"] = "close"
        return answer
    if not declared.isdigit():
        return problem(400, "bad_request", "Content-Length is not a number")
    return _too_large() if len(declared) > 15 or int(declared) > MAX_BODY_BYTES else None


def _too_large() -> ProblemResponse:
    return problem(413, "body_too_large", f"at most {MAX_BODY_BYTES} bytes of body")


def _counted(receive: Receive) -> Receive:
    """Wrap `receive` to stop a body of undeclared length once it is too large."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise HTTPException(413, f"at most {MAX_BODY_BYTES} bytes of body")
        return message

    return counted
