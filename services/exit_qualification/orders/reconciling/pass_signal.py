"""Pace of the reconciler: at once after an order was sent or an update of one was posted, else at intervals."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shared.clock import Clock

ANSWER_WAIT_S = 1.0
"""Maximum delay until the wait for order updates notices a stop."""


class PassSignal:
    """Runs passes, at most half of the time: in a burst every placed order asks for one.

    Parameters
    ----------
    reconcile:
        Runs one pass; returns whether orders are at work.
    interval_s, idle_s:
        Pause before the next pass while orders are at work, and without any.
    """

    def __init__(self, reconcile: Callable[[], bool], interval_s: float, idle_s: float, clock: Clock) -> None:
        self._reconcile = reconcile
        self._interval_s = interval_s
        self._idle_s = idle_s
        self._clock = clock
        self._pause_s = 0.0
        self._rest_s = 0.0
        self._rung = threading.Event()

    def ring(self) -> None:
        """Let the next pass begin at once."""
        self._rung.set()

    def ringing(self, wait: Callable[[float], bool], also: Callable[[], None]) -> Callable[[], bool]:
        """Return a step: wait for an order update, True from `wait`, and then ring and call `also`."""

        def step() -> bool:
            if wait(ANSWER_WAIT_S):
                self.ring()
                also()
            return True

        return step

    def next_pass(self) -> bool:
        """Wait for the time of the next pass and run it; return True."""
        threading.Event().wait(self._rest_s)  # a ring does not end it
        self._rung.wait(self._pause_s - self._rest_s)
        self._rung.clear()
        self._pause_s = self._interval_s  # also after a failure
        began = self._clock.monotonic()
        if not self._reconcile():
            self._pause_s = self._idle_s
        self._rest_s = min(self._clock.monotonic() - began, self._interval_s)
        return True
