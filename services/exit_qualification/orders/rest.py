"""Rest after looks at every waiting exit without one to act on."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TypeVar

from shared.clock import Clock

Found = TypeVar("Found", bound=Sized)

TIMES = 9
"""Length of a rest, as a multiple of the look's duration: looks in vain then take a tenth of the time."""


class Rest:
    """Rest of one kind of look. Not thread-safe."""

    def __init__(self, clock: Clock, times: float = TIMES) -> None:
        self._clock = clock
        self._times = times
        self._ends_s = 0.0

    def look(self, find: Callable[[], Found]) -> Found | None:
        """Return the result of a look, and rest if it is empty; return None without a look during a rest."""
        began_s = self._clock.monotonic()
        if began_s < self._ends_s:
            return None
        found = find()
        if not found:
            ended_s = self._clock.monotonic()
            self._ends_s = ended_s + self._times * (ended_s - began_s)
        return found
