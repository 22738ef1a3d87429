"""Answers under faults: late, in pieces, or other than Kite documents. ASGI middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.paper_broker.call_effects import Body, CallEffect, SlowAnswer, WrongAnswer, effect_of

_JSON, _HTML = b"application/json", b"text/html"
_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


class AnswerFaults:
    """Passes answers on unchanged, except for calls whose route left `answer_effects` in the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        await self._app(scope, receive, answer.take)
        await answer.end()


class _Answer:
    """Answer of one call; held back and changed if the call met a fault."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._held: list[Message] = []

    async def take(self, message: Message) -> None:
        """Send a message of the application on, or hold it back."""
        if self._effects():
            self._held.append(message)
        else:
            await self._send(message)

    async def end(self) -> None:
        """Send what was held back, as the effects say."""
        if not self._held:
            return
        slow, wrong = effect_of(self._effects(), SlowAnswer), effect_of(self._effects(), WrongAnswer)
        is_whole = not self._held[-1].get("more_body", self._held[-1]["type"] == "http.response.start")
        messages = self._held
        if is_whole:
            start, body = self._held[0], b"".join(each["body"] for each in self._held[1:])
            messages = _messages(start, body, wrong, slow.parts if slow else 1)
        for message in messages:
            if slow is not None and message["type"] == "http.response.body":
                await asyncio.sleep(slow.ms / 1000)
            await self._send(message)

    def _effects(self) -> Sequence[CallEffect]:
        effects: Sequence[CallEffect] = self._scope.get("state", {}).get("answer_effects", ())
        return effects


def _messages(start: Message, body: bytes, wrong: WrongAnswer | None, parts: int) -> list[Message]:
    """Return the messages of an answer whose body comes in so many parts."""
    announced = len(body)
    if wrong is not None:
        body, content_type = _wrong_body(wrong.body, body)
        announced = 2 * len(body) if wrong.body == "cut" else len(body)
        headers = [(b"content-length", str(announced).encode())]
        headers += [(b"content-type", content_type)] if content_type else []
        start = {**start, "status": wrong.http_status, "headers": headers}
    size = max(1, -(-len(body) // parts))
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    sent = [{"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces]
    return [start, *sent] if announced > len(body) else [start, *sent[:-1], {**sent[-1], "more_body": False}]


def _wrong_body(form: Body, body: bytes) -> tuple[bytes, bytes | None]:
    """Return a body in place of the right one, and its content type."""
    match form:
        case "html":
            return _GATEWAY_PAGE, _HTML
        case "truncated" | "cut":
            return body[: len(body) // 2], _JSON
        case "empty":
            return b"", _JSON
        case "no_data":
            return b'{"status": "success"}', _JSON
        case "null_data":
            return b'{"status": "success", "data": null}', _JSON
        case "untyped":
            return body, None
