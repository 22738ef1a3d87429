"""Loops that hang share one limit when the process stops; they do not add up."""

from __future__ import annotations

import threading
import time

from services.exit_qualification.orders.work_loop import WorkLoop, running
from shared.runtime.health import Health
from shared.runtime.process import Stop

GRACE_S = 1.0
LOOPS = 8


def test_loops_that_hang_are_left_behind_after_one_common_limit() -> None:
    release, entered = threading.Event(), threading.Semaphore(0)

    def hang() -> bool:
        entered.release()
        release.wait()
        return False

    loops = [WorkLoop(f"loop-{n}", hang, 0) for n in range(LOOPS)]
    with running(loops, Health(), Stop(), GRACE_S):
        for _ in loops:
            assert entered.acquire(timeout=30)
        began = time.monotonic()
    took_s = time.monotonic() - began
    release.set()
    assert GRACE_S <= took_s < GRACE_S * LOOPS / 2
