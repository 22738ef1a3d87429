"""The trace that a request belongs to (W3C Trace Context, level 1)."""

from __future__ import annotations

import re

from fastapi import Request

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(request: Request) -> str | None:
    """The ``traceparent`` of a request; None without one or with one that is not valid, which begins a new trace."""
    given = request.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else None
