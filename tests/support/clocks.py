"""Clocks moved by tests."""

from __future__ import annotations

from shared.clock import SystemClock


class SteppedClock(SystemClock):
    """A clock with monotonic time under the test's control; its instants are those of the system."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s
