"""The trace that a request belongs to."""

from __future__ import annotations

from fastapi import Request

from shared.runtime.trace import valid_traceparent


def traceparent_of(request: Request) -> str | None:
    """The ``traceparent`` of a request, if it has a valid one."""
    return valid_traceparent(request.headers.get("traceparent"))
