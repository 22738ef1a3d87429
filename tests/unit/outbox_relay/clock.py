"""A clock standing until told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 1, 13, 4, 0, tzinfo=UTC)


class StandingClock:
    """Satisfies `Clock`."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        """BEGIN and the time passed."""
        return BEGIN + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        """The time passed, in seconds."""
        return self.elapsed_s
