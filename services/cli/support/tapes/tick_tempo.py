"""How fast recorded ticks are replayed."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from shared.clock import trading_day
from shared.errors import InvalidInput


class Tempo:
    """Keeps the recorded distances between ticks, divided by `times`.

    Parameters
    ----------
    times:
        How many times as fast; None: without any wait.
    nights:
        Whether the distance between two trading days is kept too.
    """

    def __init__(self, times: float | None, *, nights: bool = False) -> None:
        self._times = times
        self._nights = nights
        self._first: tuple[datetime, float] | None = None

    @classmethod
    def parse(cls, text: str, *, nights: bool = False) -> Self:
        """Parse a positive number or ``max``; raise InvalidInput for anything else."""
        if text == "max":
            return cls(None, nights=nights)
        try:
            times = float(text)
        except ValueError:
            times = 0
        if not 0 < times < float("inf"):
            raise InvalidInput(f"--speed is a positive number or max, not {text!r}")
        return cls(times, nights=nights)

    def wait_s(self, recorded_at: datetime, monotonic_s: float) -> float:
        """Return the seconds to wait before the tick recorded at this time; 0 for the first, of each day too."""
        if self._times is None:
            return 0
        if self._first is None or (not self._nights and trading_day(recorded_at) > trading_day(self._first[0])):
            self._first = (recorded_at, monotonic_s)
        first_recorded, first_sent = self._first
        due = first_sent + (recorded_at - first_recorded).total_seconds() / self._times
        return max(0, due - monotonic_s)
