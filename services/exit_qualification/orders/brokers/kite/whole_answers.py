"""Answers within the time-out of their call, however slowly their heads and bodies come."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from http import client
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, Final

from requests import PreparedRequest, ReadTimeout, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ReadTimeoutError

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


_POOLS: Final = {"http": _Pool, "https": _SecurePool}


class WholeAnswers(HTTPAdapter):
    """Reads each answer at once, within the time-out of its call.

    The time-out of requests is one of each piece: an answer without end would keep its thread for ever.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make connections with bounded answers."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer with its body.

        Raises
        ------
        ReadTimeout
            The answer has not ended `timeout` seconds after the request was sent.
        """
        del stream  # every answer is read whole
        answer = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        try:
            body = answer.raw.read(decode_content=True)
        except ReadTimeoutError as error:
            answer.close()
            raise ReadTimeout(f"the answer did not end within {timeout:g} s") from error
        except BaseException:
            answer.close()
            raise
        answer.raw = HTTPResponse(BytesIO(body), status=answer.status_code, preload_content=False)
        return answer
