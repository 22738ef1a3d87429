"""W3C Trace Context, level 1."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def valid_traceparent(given: str | None) -> str | None:
    """Return a valid ``traceparent`` unchanged; None if missing or invalid, to start a new trace."""
    return given if given is not None and _TRACEPARENT.fullmatch(given) else None


def in_trace(traceparent: str | None) -> dict[str, str]:
    """Return the `extra` of a log line in a trace: its id; JSON lines show it as `trace_id`."""
    return {"trace_id": traceparent.split("-")[1]} if traceparent else {}


def is_sampled(traceparent: str) -> bool:
    """Return whether who began the trace of a valid ``traceparent`` wants it recorded."""
    return bool(int(traceparent[-2:], 16) & 1)
