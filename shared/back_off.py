"""Waits doubling with each failure in a row. Pure but for `BackOff.wait`."""

from __future__ import annotations

import threading

FIRST_S = 0.1
LONGEST_S = 5.0
MOST_DOUBLINGS = 32
"""Bound on the exponent, far beyond any sensible longest wait."""


def wait_after(failures: int, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after so many failures in a row (1 or more): `first_s`, doubling to `longest_s`."""
    return min(longest_s, first_s * 2.0 ** min(failures - 1, MOST_DOUBLINGS))


class BackOff:
    """The waits of one loop, from `first_s` to `longest_s` seconds. Not thread-safe.

    Attributes
    ----------
    failures:
        Failures in a row.
    """

    def __init__(self, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self.failures = 0

    def next_s(self) -> float:
        """Return the seconds to wait after one more failure."""
        self.failures += 1
        return wait_after(self.failures, self._first_s, self._longest_s)

    def wait(self, stop: threading.Event) -> None:
        """Wait after one more failure, or return at once when `stop` is set."""
        stop.wait(self.next_s())

    def reset(self) -> None:
        """Begin with the first wait again after a success."""
        self.failures = 0
