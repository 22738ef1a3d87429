"""Schedule of the checks of disarmed rules, by a monotonic clock: pure."""

from __future__ import annotations

TURNS = 8
"""Parts of the interval, each with one query: one query for all rules holds up ticks for long."""

FEW_RULES = 32
"""A query may be about so many in any case."""
MOST_PER_TURN = 250
"""Maximum rules checked per turn."""


class RearmSchedule:
    """Has every disarmed rule checked once an interval; many rules in equal turns, which may take longer.

    Attributes
    ----------
    next_s:
        Time of the next turn.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._round_s = 0.0
        self._left = self._share = 0
        self.next_s = 0.0

    def take(self, now_s: float, disarmed: int) -> int:
        """Return how many of the disarmed rules to check now; 0 until the next turn."""
        if now_s < self.next_s:
            return 0
        if not self._left:
            self._left, self._round_s = disarmed, now_s + self._interval_s
            self._share = min(max(FEW_RULES, -(-disarmed // TURNS)), MOST_PER_TURN)
        taken = min(self._left, self._share)
        self._left -= taken
        self.next_s = now_s + self._interval_s / TURNS if self._left else max(self._round_s, now_s)
        return taken
