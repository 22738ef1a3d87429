"""Clocks moved by tests."""

from __future__ import annotations

from datetime import datetime

from shared.clock import SystemClock


class SteppedClock(SystemClock):
    """A clock with monotonic time under the test's control; its instants are those of the system."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def monotonic(self) -> float:
        return self.at_s


class FixedClock(SystemClock):
    """A clock that always shows the same instant; its monotonic time is that of the system."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def now(self) -> datetime:
        return self._instant
