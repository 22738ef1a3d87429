"""How long to wait before the next try."""

from __future__ import annotations

from shared.process import Stop

FIRST_S = 0.1
MOST_S = 5.0


class BackOff:
    """Doubles with every failure in a row."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def wait(self, stop: Stop) -> None:
        """Wait, but not past being told to stop."""
        stop.wait(self._next_s)
        self._next_s = min(MOST_S, self._next_s * 2)

    def reset(self) -> None:
        """Something went well."""
        self._next_s = FIRST_S
