"""Waiting for a condition instead of for time."""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_S = 0.02


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 30) -> None:
    """Return once `condition` holds; fail, saying `what` did not come about, after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(_LOOK_S)
