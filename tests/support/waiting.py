"""Waiting for a condition instead of for time."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 60.0
"""A fulfilled condition costs no more for it, and a busy machine is no fault of the product."""

_LOOK_S = 0.02


def wait_until(condition: Callable[[], object], what: str = "the condition holds", limit_s: float = LIMIT_S) -> None:
    """Return once `condition` holds; fail, saying `what` did not come about, after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(_LOOK_S)
