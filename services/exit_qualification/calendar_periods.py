"""Calendars of a file or a database in the form of the domain."""

from __future__ import annotations

from services.exit_qualification.domain.market_calendar import CalendarPeriod, DayPlan, SecondOfDay, Session
from shared.contracts.calendars import DayHours, MarketCalendar


def period_of(calendar: MarketCalendar) -> CalendarPeriod:
    """Return a calendar as the domain uses it."""
    return CalendarPeriod(
        exchange=calendar.exchange,
        valid_from=calendar.valid_from,
        valid_to=calendar.valid_to,
        weekdays=frozenset(calendar.weekdays),
        regular=_plan(calendar),
        days={day.date: _plan(day, day.name) for day in calendar.days},
        tick_fresh_ms=calendar.tick_fresh_ms,
    )


def _plan(hours: DayHours, name: str | None = None) -> DayPlan:
    sessions = tuple(
        Session(each.phase, _second(each.opens), _second(each.closes))
        for each in sorted(hours.sessions, key=lambda session: session.opens)
    )
    return DayPlan(sessions, {product: _second(at) for product, at in hours.square_off.items()}, name)


def _second(at: str) -> SecondOfDay:
    hours, minutes, seconds = map(int, at.split(":"))
    return hours * 3600 + minutes * 60 + seconds
