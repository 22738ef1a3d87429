"""How long to wait before looking again: shortest while events flow, longer and longer when none do."""

from __future__ import annotations


class AdaptivePoll:
    """A wait that starts at the shortest and doubles up to the longest with each look that found nothing."""

    def __init__(self, shortest_s: float, longest_s: float) -> None:
        self._shortest_s = shortest_s
        self._longest_s = max(shortest_s, longest_s)
        self.wait_s = shortest_s

    def found(self) -> None:
        """The last look found something."""
        self.wait_s = self._shortest_s

    def found_nothing(self) -> None:
        """The last look found nothing."""
        self.wait_s = min(self._longest_s, self.wait_s * 2)
