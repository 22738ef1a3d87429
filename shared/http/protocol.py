"""HTTP/1.1 on a socket, with a limit on open connections and a deadline for every request and every answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.http.problems import of_framework

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""More than `shared.http.bounds` lets through, so that most heads too large get an answer that says what is."""

LINGER_S = 2.0
"""How long what still arrives is read and dropped after a refusal; closing at once could destroy the answer."""

REFUSED_AT_ONCE = 64
"""Connections beyond the limit that are given an answer; further ones are cut."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of a server's client connections.

    Attributes
    ----------
    connections:
        Open at the same time.
    request_s:
        A request must arrive whole within this time after its first byte, or after the connection was made.
    answer_s:
        A client must take each part of an answer within this time.
    """

    connections: int
    request_s: float
    answer_s: float = 30.0


class Deadline:
    """A call made unless the deadline is stopped first; starting a running deadline changes nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
        self._loop = loop
        self._act = act
        self._timer: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Return True if the deadline was started and neither stopped nor reached."""
        return self._timer is not None

    def start(self, after_s: float) -> None:
        """Run from now."""
        if self._timer is None:
            self._timer = self._loop.call_later(after_s, self._reached)

    def stop(self) -> None:
        """Make no call."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _reached(self) -> None:
        self._timer = None
        self._act()


def bounded_protocol(limits: ConnectionLimits) -> type[BoundedHttpProtocol]:
    """Return the protocol class for ``uvicorn.Config(http=...)``."""
    return type("BoundedHttpProtocol", (BoundedHttpProtocol,), {"limits": limits})


class BoundedHttpProtocol(H11Protocol):
    """One connection.

    At the limit a new connection replaces one waiting for its client: first the connection whose request has been
    arriving longest, then the one idle longest. If all are busy the new one gets 503.
    """

    limits: ClassVar[ConnectionLimits]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._request_deadline = Deadline(self.loop, self._too_slow)
        self._answer_deadline = Deadline(self.loop, self._abort)
        self._heard = False
        self._refused = False
        self._waits_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or refuse it if all others are at work."""
        super().connection_made(transport)
        if len(self.connections) <= self.limits.connections or self._take_a_place():
            self._watch_request()
        elif len(self.connections) <= self.limits.connections + REFUSED_AT_ONCE:
            self._refuse(503, "too many connections are open", {"Retry-After": "1"})
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._request_deadline.stop()
        self._answer_deadline.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection was refused."""
        if self._refused:
            return
        self._heard = True
        super().data_received(data)
        self._watch_request()

    def on_response_complete(self) -> None:
        """Wait for the next request; briefly drain the rest of an unread body."""
        self._heard = False
        self._waits_since = self.loop.time()
        super().on_response_complete()
        self._request_deadline.stop()
        self._watch_request(LINGER_S if self.conn.their_state is h11.SEND_BODY else None)

    def pause_writing(self) -> None:
        """Give the client a limited time to read the response."""
        super().pause_writing()
        self._answer_deadline.start(self.limits.answer_s)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if not self._refused:
            self._answer_deadline.stop()

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP with the fitting status."""
        # uvicorn calls this where it handles the error, and drops the status that h11 gives it.
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status, msg)

    def _is_arriving(self) -> bool:
        state = self.conn.their_state
        if state is h11.IDLE:
            return self.cycle is None or self._heard or bool(self.conn.trailing_data[0])
        return state is h11.SEND_BODY

    def _watch_request(self, limit_s: float | None = None) -> None:
        if self._refused or self.transport.is_closing():
            return
        if not self._is_arriving():
            self._request_deadline.stop()
        else:
            self._request_deadline.start(limit_s or self.limits.request_s)

    def _too_slow(self) -> None:
        if self._heard:
            self._refuse(408, "the request did not arrive in time")
        else:
            self.transport.abort()

    def _abort(self) -> None:
        self.transport.abort()

    def _take_a_place(self) -> bool:
        waiting = [it for it in self._others() if it._waits()]
        if not waiting:
            return False
        longest = min(waiting, key=lambda it: (not it._request_deadline.runs, it._waits_since))
        self.connections.discard(cast(Any, longest))
        longest.transport.abort()
        return True

    def _others(self) -> list[BoundedHttpProtocol]:
        return [it for it in self.connections if isinstance(it, BoundedHttpProtocol) and it is not self]

    def _waits(self) -> bool:
        return self._request_deadline.runs or self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()  # an answer has begun already
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refused = True
        self._unset_keepalive_if_required()
        answer = of_framework(status, detail, {"Connection": "close", **(headers or {})})
        self._write(h11.Response(status_code=status, headers=answer.raw_headers, reason=b""))
        self._write(h11.Data(data=bytes(answer.body)))
        self._write(h11.EndOfMessage())
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._request_deadline.stop()
        self._answer_deadline.start(LINGER_S)

    def _write(self, event: h11.Event) -> None:
        self.transport.write(self.conn.send(event) or b"")
