"""HTTP/1.1 on a socket, with a limit on open connections and a deadline for every request and every answer."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.http.joined_writes import JoinedWrites
from shared.http.problems import of_framework

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""More than the bound of `shared.http.bounds`, so most oversized heads get an answer with the reason."""

LINGER_S = 2.0
"""Time for reading and dropping the rest of a refused request; closing at once could destroy the answer."""

REFUSED_AT_ONCE = 64
"""Answered connections beyond the limit; further ones are cut."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
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


Places: TypeAlias = "dict[BoundedHttpProtocol, None]"
"""An ordered set: the first is found, and any is removed, in constant time, however many connections there are."""


def bounded_protocol(limits: HttpLimits) -> type[BoundedHttpProtocol]:
    """Return the protocol class for ``uvicorn.Config(http=...)`` of one server."""
    return type("BoundedHttpProtocol", (BoundedHttpProtocol,), {"limits": limits, "arriving": {}, "idle": {}})


class BoundedHttpProtocol(H11Protocol):
    """One connection.

    At the limit a new connection replaces one waiting for its client: first the connection with the request longest in
    arriving, then the one idle longest. If all are busy the new one gets 503.
    """

    limits: ClassVar[HttpLimits]
    arriving: ClassVar[Places]
    """Connections with an arriving request, the longest first."""
    idle: ClassVar[Places]
    """Connections waiting for a request or for the end of a refusal, the longest first."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._request_deadline = Deadline(self.loop, self._too_slow)
        self._answer_deadline = Deadline(self.loop, self._abort)
        self._heard = False
        self._refused = False
        self._place: Places | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or refuse it if all others are at work."""
        super().connection_made(cast(Any, JoinedWrites(transport, self.loop)))
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
        self._move_to(None)
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
        """Answer invalid HTTP with the fitting status."""
        # uvicorn calls this where it handles the error, and drops h11's status.
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status, msg)
        self._move_to(self.idle)

    def _is_arriving(self) -> bool:
        state = self.conn.their_state
        if state is h11.IDLE:
            return self.cycle is None or self._heard or bool(self.conn.trailing_data[0])
        return state is h11.SEND_BODY

    def _watch_request(self, limit_s: float | None = None) -> None:
        if self._refused or self.transport.is_closing():
            return
        if self._is_arriving():
            self._request_deadline.start(limit_s or self.limits.request_s)
            self._move_to(self.arriving)
        else:
            self._request_deadline.stop()
            self._move_to(self.idle if self.cycle is None or self.cycle.response_complete else None)

    def _too_slow(self) -> None:
        if self._heard:
            self._refuse(408, "the request did not arrive in time")
            self._move_to(self.idle)
        else:
            self.transport.abort()

    def _abort(self) -> None:
        self.transport.abort()

    def _take_a_place(self) -> bool:
        longest = next(iter(self.arriving), None) or next(iter(self.idle), None)
        if longest is None:
            return False
        longest._move_to(None)
        self.connections.discard(cast(Any, longest))
        longest.transport.abort()
        return True

    def _move_to(self, place: Places | None) -> None:
        if place is self._place:
            return
        if self._place is not None:
            del self._place[self]
        if place is not None:
            place[self] = None
        self._place = place

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
