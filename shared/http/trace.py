"""The trace of a request."""

from __future__ import annotations

from fastapi import Request

from shared.runtime.trace import valid_traceparent


def traceparent_of(request: Request) -> str | None:
    """Return the request's ``traceparent`` if valid, else None."""
    return valid_traceparent(request.headers.get("traceparent"))
