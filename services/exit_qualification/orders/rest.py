"""Rest after looks: they take at most a tenth of the time, however long each is."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TypeVar

from shared.clock import Clock

Found = TypeVar("Found", bound=Sized)

TIMES = 9
"""Length of a rest, as a multiple of the look's duration."""


class Rest:
    """Rest of one kind of look. Not thread-safe."""

    def __init__(self, clock: Clock, times: float = TIMES) -> None:
        self._clock = clock
        self._times = times
        self._ends_s = 0.0

    def is_over(self) -> bool:
        """Return whether the next look may begin."""
        return self._clock.monotonic() >= self._ends_s

    def begin(self, look_began_s: float) -> None:
        """Rest after a look ending now, by its duration; `look_began_s` is of the monotonic clock."""
        now_s = self._clock.monotonic()
        self._ends_s = now_s + self._times * (now_s - look_began_s)

    def look(self, find: Callable[[], Found]) -> Found | None:
        """Return the result of a look, and rest if it is empty; return None without a look during a rest."""
        if not self.is_over():
            return None
        began_s = self._clock.monotonic()
        found = find()
        if not found:
            self.begin(began_s)
        return found
