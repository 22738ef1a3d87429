"""Client of exit-api."""

from __future__ import annotations

import httpx

from shared.http.certificates import certificates_for


def open_exit_api(url: str, token: str, timeout_s: float, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client with a token; `transport` carries the requests, by default the network."""
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout_s,
        transport=transport,
        verify=certificates_for(url),
        trust_env=False,  # a proxy for the web must not see tokens of ours
    )
