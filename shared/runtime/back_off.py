"""BackOff: how long to wait before the next try."""

from __future__ import annotations

from tenacity import RetryCallState, Retrying, wait_exponential

from shared.runtime.stopping import Stop

FIRST_S = 0.1
LONGEST_S = 5.0


class BackOff:
    """Waits doubling with each consecutive failure, from `FIRST_S` to `LONGEST_S` seconds."""

    def __init__(self) -> None:
        self._wait = wait_exponential(multiplier=FIRST_S, max=LONGEST_S)
        self._state = RetryCallState(Retrying(), None, (), {})

    def wait(self, stop: Stop) -> None:
        """Wait, or return at once when `stop` is set."""
        seconds = self._wait(self._state)
        self._state.attempt_number += 1
        stop.wait(seconds)

    def reset(self) -> None:
        """Begin with the first wait again after a success."""
        self._state.attempt_number = 1
