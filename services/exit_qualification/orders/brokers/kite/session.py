"""HTTP session of the official client, on urllib3.

The client's own session, of requests, takes 0.3 ms of CPU more for each call; the broker is called twice for an exit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLCertVerificationError
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import certifi
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.util import parse_url

from services.exit_qualification.orders.brokers.kite.whole_answers import pool_of

Values = Mapping[str, Any]

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_READ: Final = {"Accept-Encoding": "gzip, deflate"}


class NotConnected(HTTPError):
    """No connection was made, so nothing was sent."""


class AnswerTimedOut(HTTPError):
    """The answer did not end in time; the request may have been carried out."""


class RedirectRefused(HTTPError):
    """The broker answered with a redirect. It was not followed: it could send an order again."""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer with its body, as the official client reads it; header names are in any case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body as JSON; raise ValueError for anything else."""
        return json.loads(self.content)


class KiteSession:
    """Requests to one host over connections kept open; no retries, no redirects, no proxies of the environment."""

    def __init__(self, root_url: str, timeout_s: float) -> None:
        """Connect to the host of `root_url`; `timeout_s` limits connecting, and the whole answer."""
        url = parse_url(root_url)
        self._host = url.netloc
        self._pool = pool_of(url, certifi.where())
        self._timeout_s = timeout_s

    def request(
        self,
        method: str,
        url: str,
        *,
        data: Values | None = None,
        params: Values | None = None,
        headers: Mapping[str, str],
        **_fixed: object,
    ) -> WholeAnswer:
        """Send a request once and return its answer.

        Parameters
        ----------
        data:
            Form of the body.
        params:
            Query; a list is one parameter for each of its items.
        _fixed:
            Options of the client for a session of requests; those of this one do not change.

        Raises
        ------
        NotConnected, AnswerTimedOut, RedirectRefused
            See there.
        HTTPError
            The connection was lost, or the answer is no HTTP.
        """
        path = urlsplit(url).path
        try:
            answer = self._pool.urlopen(
                method,
                f"{path}?{_encoded(params)}" if params else path,
                body=_encoded(data) if data else None,
                headers={**headers, **_READ, **(_FORM if data else {})},
                retries=False,
                redirect=False,
                timeout=self._timeout_s,
            )
        except ReadTimeoutError as error:
            raise AnswerTimedOut(f"the answer did not end within {self._timeout_s:g} s") from error
        except (ConnectTimeoutError, SSLError) as error:
            reason = _why_not_connected(error)
            if reason is None:
                raise
            raise NotConnected(f"{self._host}: {reason}") from error
        if answer.get_redirect_location():
            raise RedirectRefused(f"{method} {path}: the broker answered {answer.status}, a redirect")
        return WholeAnswer(answer.status, answer.headers, answer.data)


def _why_not_connected(error: HTTPError) -> str | None:
    """Return why no connection was made; None for an error of an encrypted connection that was made."""
    if isinstance(error, NewConnectionError):  # a kind of ConnectTimeoutError
        assert isinstance(error.__cause__, OSError)
        return error.__cause__.strerror or str(error.__cause__)
    if isinstance(error, ConnectTimeoutError):
        return "timed out"
    refused = [each for each in error.args if isinstance(each, SSLCertVerificationError)]
    return f"its certificate is not trusted: {refused[0].verify_message}" if refused else None


def _encoded(values: Values) -> str:
    return urlencode({name: value for name, value in values.items() if value is not None}, doseq=True)
