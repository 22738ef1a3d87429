"""Time, injected. Nothing else in the project asks the machine what time it is."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

TRADING_ZONE = ZoneInfo("Asia/Kolkata")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The current instant, timezone-aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """The monotonic clock, in seconds."""
        return time.monotonic()


def trading_day(instant: datetime) -> date:
    """The trading day (Asia/Kolkata) that a timezone-aware instant falls on."""
    return instant.astimezone(TRADING_ZONE).date()


def rfc3339(instant: datetime) -> str:
    """An aware instant as RFC 3339 in UTC with microseconds, e.g. ``2026-01-13T03:45:00.123000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def epoch_ms(instant: datetime) -> int:
    """An aware instant in whole milliseconds since 1970, rounded down."""
    return (instant - EPOCH) // timedelta(milliseconds=1)
