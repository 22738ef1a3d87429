"""Open sessions of a symbol: bricks of the gap before a session count only after its second tick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import Final

from services.exit_qualification.domain.market_calendar import ZONE, Calendars, DayPlan, exchange_of
from shared.contracts.vocabulary import MarketPhase
from shared.instants import epoch_us

Hours = tuple[int, int]
"""Microseconds since 1970: the first one of a session, and the first one after it."""
OpenHours = Callable[[int], Hours | None]
"""Returns the open session at a time in microseconds since 1970; None outside sessions."""
HoursOf = Callable[[str], OpenHours]
"""Returns the open hours of a symbol."""

_DAY_US: Final = 24 * 3600 * 1_000_000
_ZONE_US: Final = 19_800 * 1_000_000
"""Offset of Asia/Kolkata from UTC: 5 h 30 min, without summer time."""


def day_of(ts_us: int) -> int:
    """Return the day in Asia/Kolkata, in days since 1970."""
    return (ts_us + _ZONE_US) // _DAY_US


def whole_day(ts_us: int) -> Hours:
    """Return the day in Asia/Kolkata as a session: without a calendar an exchange is always open."""
    start_us = day_of(ts_us) * _DAY_US - _ZONE_US
    return start_us, start_us + _DAY_US


def every_day(_: str) -> OpenHours:
    """Return the hours of an exchange without a calendar."""
    return whole_day


def hours_of(calendars: Calendars) -> HoursOf:
    """Return the open hours of symbols by calendars."""
    return lambda symbol: lambda ts_us: _session(calendars, symbol, ts_us)


def _session(calendars: Calendars, symbol: str, ts_us: int) -> Hours | None:
    at = datetime.fromtimestamp(ts_us // 1_000_000, ZONE)
    plan = calendars.plan(exchange_of(symbol), at.date())
    if plan is None:
        return whole_day(ts_us)
    midnight_us = epoch_us(datetime.combine(at.date(), time(), ZONE))
    second = (ts_us - midnight_us) // 1_000_000
    return next(
        (
            (midnight_us + opens * 1_000_000, midnight_us + closes * 1_000_000)
            for opens, closes in _open(plan)
            if opens <= second < closes
        ),
        None,
    )


def _open(plan: DayPlan) -> list[tuple[int, int]]:
    """Return the open times of a day in seconds; sessions without a break between them are one."""
    found: list[tuple[int, int]] = []
    for each in plan.sessions:
        if each.phase is not MarketPhase.OPEN:
            continue
        if found and found[-1][1] == each.opens:
            found[-1] = (found[-1][0], each.closes)
        else:
            found.append((each.opens, each.closes))
    return found
