"""Load on POST /trades: many connections kept open, each sending one request after the other.

One thread serves all connections: an expensive client takes the processors from the measured system.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.ids import new_id

TIMEOUT_S = 240
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
Body = dict[str, Any]


def trade(symbol: str, account: str, target: str = "1010.00") -> Body:
    """Return the body of a trade of ten shares."""
    return {
        "symbol": symbol,
        "direction": "LONG",
        "product_type": "MIS",
        "quantity": 10,
        "entry_price": "1000.00",
        "user_broker_id": account,
        "exit_plan": {"target": target, "stop_loss": "900.00"},
    }


def open_trades(url: str, token: str, bodies: Sequence[Body], connections: int) -> tuple[list[str], float]:
    """Open every trade over so many connections; return their ids and the seconds for all.

    Raises
    ------
    Unavailable
        An answer was not 201, or a connection ended.
    """
    host = urlsplit(url).netloc
    requests = [_request(host, token, body) for body in bodies]
    return asyncio.run(_open(host, [requests[n::connections] for n in range(connections)]))


async def _open(host: str, shares: Sequence[Sequence[bytes]]) -> tuple[list[str], float]:
    loop, clock = asyncio.get_running_loop(), SystemClock()
    name, _, port = host.rpartition(":")
    made = [await loop.create_connection(partial(_Connection, share), name, int(port)) for share in shares]
    connections = [connection for _, connection in made]
    began = clock.monotonic()
    for connection in connections:
        connection.begin()
    async with asyncio.timeout(TIMEOUT_S):
        answers = [await connection.answers for connection in connections]
    seconds = clock.monotonic() - began
    for transport, _ in made:
        transport.close()
    return [str(json.loads(body)["trade_id"]) for of_one in answers for body in of_one], seconds


class _Connection(asyncio.Protocol):
    """Sends its requests one after the other; `answers` are the bodies of all responses."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.answers: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._requests: Iterator[bytes] = iter(requests)
        self._bodies: list[bytes] = []
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def begin(self) -> None:
        """Send the next request, if there is one."""
        request = next(self._requests, None)
        if request is None:
            self.answers.set_result(self._bodies)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(HEAD_END)
        if not end or len(body) < int(head.partition(LENGTH)[2].partition(b"\r\n")[0]):
            return
        self._received = b""
        if not head.startswith(b"HTTP/1.1 201 "):
            self.answers.set_exception(Unavailable(f"POST /trades: {head[:20]!r} {body[:200]!r}"))
            return
        self._bodies.append(body)
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answers.done():
            self.answers.set_exception(Unavailable(f"POST /trades: the connection ended: {exc}"))


def _request(host: str, token: str, body: Body) -> bytes:
    content = json.dumps(body)
    lines = (
        "POST /trades HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        f"Idempotency-Key: {new_id()}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + content).encode()
