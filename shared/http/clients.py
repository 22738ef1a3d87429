"""How our HTTP clients reach their servers: without the proxy of the environment, with certificates only for https."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import TypedDict

import httpx


class Direct(TypedDict):
    """Options of httpx, for its clients and its functions."""

    trust_env: bool
    verify: ssl.SSLContext | bool


def direct(*urls: str) -> Direct:
    """Return the options of a client of these root URLs.

    No proxy: one for the web must not see our tokens, nor stand between us and the loopback interface. httpx loads the
    certificates of all authorities for each client, at a cost of 50 ms of CPU. A client of plain HTTP gets a context
    without any instead: it still refuses every https URL.
    """
    is_encrypted = any(url.lower().startswith("https:") for url in urls)
    return Direct(trust_env=False, verify=is_encrypted or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def open_client(
    root_url: str,
    headers: Mapping[str, str],
    timeout_s: float,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Return a client of one server; `transport` carries the requests, by default the network."""
    return httpx.Client(base_url=root_url, headers=headers, timeout=timeout_s, transport=transport, **direct(root_url))


def why_silent(error: httpx.HTTPError) -> str:
    """Return in words why a server did not answer, e.g. `timed out` or `Connection refused`."""
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
