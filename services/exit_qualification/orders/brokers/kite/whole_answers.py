"""Answers within the time-out of their call, however slowly their heads and bodies come."""

from __future__ import annotations

import socket
from http import client
from io import BufferedReader, RawIOBase
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Url

from shared.clock import SystemClock

_CLOCK = SystemClock()
"""Sockets wait in real time."""


class _Bounded(RawIOBase):
    """Bytes of a socket, read within its time-out together: each wait gets the time left."""

    def __init__(self, sock: socket.socket, raw: RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self._deadline = _CLOCK.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - _CLOCK.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedAnswer(client.HTTPResponse):
    """An answer with one time-out for all its bytes; the socket has the time-out of the call."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = BufferedReader(_Bounded(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _BoundedAnswer


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedAnswer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def pool_of(url: Url, authorities: str) -> HTTPConnectionPool:
    """Return connections to the host of a URL; those of https trust the `authorities` in a file.

    Each answer is read whole within the time-out of its call. A time-out of urllib3 is one of each piece: an answer
    without end would keep its thread for ever.
    """
    host = url.host or ""
    return _SecurePool(host, url.port, ca_certs=authorities) if url.scheme == "https" else _Pool(host, url.port)
