"""When a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Waits that double, and begin anew for a process that lived long enough.

    Attributes
    ----------
    first_s, longest_s:
        The first wait and the longest, in seconds.
    settled_s:
        A process that lived this long is taken to have been well.
    """

    first_s: float = 0.2
    longest_s: float = 20
    settled_s: float = 30

    def wait_s(self, failures: int) -> float:
        """The wait after so many ends in a row, each soon after its start; `failures` begins at 1."""
        # Bounded before the power is taken: a process may fail for days.
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))
