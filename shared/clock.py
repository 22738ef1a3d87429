"""The injected clock; no other module reads the machine's time."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

TRADING_ZONE = ZoneInfo("Asia/Kolkata")
TRADING_OFFSET = timedelta(hours=5, minutes=30)
"""Of `TRADING_ZONE` ahead of UTC, the same since 1945; adding it takes a fifth of the time of a look into the zone."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the current instant, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a monotonic clock; only differences have a meaning."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the monotonic clock's seconds."""
        return time.monotonic()


def trading_day(instant: datetime) -> date:
    """Return the trading day (Asia/Kolkata) of a timezone-aware instant."""
    return (instant.astimezone(UTC) + TRADING_OFFSET).date()


@lru_cache(maxsize=256)  # events of one moment carry the same instants
def rfc3339(instant: datetime) -> str:
    """Format an aware instant as RFC 3339 in UTC with microseconds, e.g. ``2026-01-13T03:45:00.123000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
