"""Step of a trade's story."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.console.wording import duration


@dataclass(frozen=True, slots=True)
class Step:
    """A step; `took_s` is the time since the step before it of the same exit, None where it says nothing."""

    at: datetime
    sentence: str
    tone: str = "quiet"
    since: datetime | None = None

    @property
    def took(self) -> str:
        """Return the time since the step before, in words; empty if there was none."""
        return "" if self.since is None else duration(max(0.0, (self.at - self.since).total_seconds()))
