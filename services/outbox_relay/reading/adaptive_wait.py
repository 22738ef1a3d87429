"""How long to wait before looking again: shortest while events flow, longer the longer none came."""

from __future__ import annotations

PART_OF_PAUSE = 10
"""The wait before the next look is the quiet time so far, divided by this. An event at the end of a pause waits for a
tenth of the pause at most. Pauses of a few milliseconds delay no event."""


BRISK_S = 0.005
"""Longest wait while the last event is younger than `CALM_S`: an exit must be readable a few milliseconds after its
tick, however seldom exits are while the market trades."""
CALM_S = 60.0


class AdaptivePoll:
    """A wait between the shortest and the longest, in seconds."""

    def __init__(self, shortest_s: float, longest_s: float) -> None:
        self._shortest_s = shortest_s
        self._longest_s = max(shortest_s, longest_s)
        self._pause_s = CALM_S  # no event came yet
        self.wait_s = shortest_s

    @property
    def pause_s(self) -> float:
        """Return for how long nothing has come, as far as polls waited for it."""
        return self._pause_s

    def found(self) -> None:
        """Reset the wait after a poll with results."""
        self._pause_s = 0.0
        self.wait_s = self._shortest_s

    def found_nothing(self) -> None:
        """Lengthen the wait after an empty poll."""
        self._pause_s += self.wait_s
        longest_s = self._longest_s if self._pause_s > CALM_S else min(BRISK_S, self._longest_s)
        self.wait_s = max(self._shortest_s, min(longest_s, self._pause_s / PART_OF_PAUSE))
