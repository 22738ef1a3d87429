"""Time of the broker: instants in milliseconds, increasing numbers, and the order book's day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from shared.clock import TRADING_ZONE

BOOK_CLEARS_AT = time(6, 0)
"""Time in Asia/Kolkata when the previous day's order book is cleared."""

MINUTE_MS = 60_000

_DAY_STEP = 10**9
_NUMBERS_PER_MS = 10


def to_ms(instant: datetime) -> int:
    """Return an aware instant as whole milliseconds since 1970."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """Return the instant at `ms` milliseconds since 1970, in Asia/Kolkata."""
    return datetime.fromtimestamp(ms / 1000, TRADING_ZONE)


def kite_time(ms: int) -> str:
    """Return a time in Kite's format: naive, Asia/Kolkata, whole seconds, 19 characters."""
    return _kite_time_of_second(ms // 1000)


@lru_cache(maxsize=4096)  # the order book is polled, and repeats its seconds
def _kite_time_of_second(second: int) -> str:
    return from_ms(second * 1000).strftime("%Y-%m-%d %H:%M:%S")


def number_at(ms: int) -> int:
    """Return the smallest order or trade number of an instant: YYMMDD and nine digits, growing through the day.

    Numbers follow the clock, not a counter: a new ledger does not reuse ids still held by other systems.
    """
    local = from_ms(ms)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    ms_of_day = (local - midnight) // timedelta(milliseconds=1)
    return int(local.strftime("%y%m%d")) * _DAY_STEP + ms_of_day * _NUMBERS_PER_MS


def book_opened_ms(ms: int) -> int:
    """Return when the order book current at `ms` began: the last `BOOK_CLEARS_AT` before it."""
    local = from_ms(ms)
    opened = datetime.combine(local.date(), BOOK_CLEARS_AT, TRADING_ZONE)
    return to_ms(opened if opened <= local else opened - timedelta(days=1))


def book_day(ms: int) -> str:
    """Return the day, ``YYYY-MM-DD``, of the order book current at `ms`."""
    return from_ms(book_opened_ms(ms)).date().isoformat()
