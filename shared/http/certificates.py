"""Certificates that an HTTP client trusts."""

from __future__ import annotations

import ssl


def certificates_for(*urls: str) -> ssl.SSLContext | bool:
    """Return httpx's `verify` for a client of these root URLs.

    httpx loads the certificates of all authorities for each client, which takes 50 ms of CPU. A client of plain HTTP
    gets a context without any instead: it still refuses every https URL.
    """
    if any(url.lower().startswith("https:") for url in urls):
        return True
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
