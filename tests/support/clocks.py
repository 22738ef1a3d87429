"""Clocks that tests move."""

from __future__ import annotations

from shared.clock import SystemClock


class SteppedClock(SystemClock):
    """A clock whose monotonic time moves only when told; its instants are those of the system."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s
