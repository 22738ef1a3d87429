"""Answers within the time-out of their call, however slowly their bodies come."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from requests import PreparedRequest, ReadTimeout, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from shared.clock import Clock

PIECE_BYTES = 65_536


class WholeAnswers(HTTPAdapter):
    """Reads the body of each answer at once.

    The time-out of requests is one of each piece: a body without end would keep its thread for ever.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

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
            The body has not ended `timeout` seconds after the head of the answer.
        """
        del stream  # every answer is read whole
        answer = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        try:
            body = self._body(answer.raw, float(timeout))
        except BaseException:
            answer.close()
            raise
        answer.raw = HTTPResponse(BytesIO(body), status=answer.status_code, preload_content=False)
        return answer

    def _body(self, raw: HTTPResponse, limit_s: float) -> bytes:
        deadline, pieces = self._clock.monotonic() + limit_s, list[bytes]()
        while piece := raw.read1(PIECE_BYTES, decode_content=True):
            pieces.append(piece)
            if self._clock.monotonic() > deadline:
                raise ReadTimeout(f"the body of the answer did not end within {limit_s:g} s")
        return b"".join(pieces)
