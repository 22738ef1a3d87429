"""Hours of exchanges: phases, holidays and square-off times, effective-dated per exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from shared.contracts.vocabulary import MarketPhase, ProductType

ZONE: Final = ZoneInfo("Asia/Kolkata")
ANY_EXCHANGE: Final = "*"
"""Exchange name of the calendar for exchanges without one."""

SecondOfDay = int


@dataclass(frozen=True, slots=True)
class Session:
    """Part of a day in one phase, from `opens` until just before `closes`."""

    phase: MarketPhase
    opens: SecondOfDay
    closes: SecondOfDay


@dataclass(frozen=True, slots=True)
class DayPlan:
    """One day of an exchange.

    Attributes
    ----------
    name:
        Of a holiday or special day; None for a regular day.
    """

    sessions: tuple[Session, ...] = ()
    square_off: Mapping[ProductType, SecondOfDay] = field(default_factory=dict)
    name: str | None = None

    @property
    def is_trading_day(self) -> bool:
        """Return whether the day has a session for sending exits."""
        return self.last_open is not None

    @property
    def last_open(self) -> Session | None:
        """Return the last session in which exits can be sent; None on a closed day."""
        return next((each for each in reversed(self.sessions) if each.phase is MarketPhase.OPEN), None)

    def phase(self, second: SecondOfDay) -> MarketPhase:
        """Return the phase at a second of the day."""
        for session in self.sessions:
            if session.opens <= second < session.closes:
                return session.phase
        return MarketPhase.CLOSED


HOLIDAY: Final = DayPlan()


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """Hours of an exchange between two days, both included.

    Attributes
    ----------
    weekdays:
        ISO numbers of the days with the regular sessions; other days are closed.
    days:
        Days unlike their weekday.
    tick_fresh_ms:
        No exit is sent by an older price.
    """

    exchange: str
    valid_from: date
    valid_to: date | None
    weekdays: frozenset[int]
    regular: DayPlan
    days: Mapping[date, DayPlan]
    tick_fresh_ms: int

    def covers(self, day: date) -> bool:
        """Return whether the period is valid on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def plan(self, day: date) -> DayPlan:
        """Return the plan of a day, assuming the period covers it."""
        special = self.days.get(day)
        if special is not None:
            return special
        return self.regular if day.isoweekday() in self.weekdays else HOLIDAY


class Calendars:
    """Calendars of all exchanges."""

    def __init__(self, periods: Iterable[CalendarPeriod] = ()) -> None:
        self._periods: dict[str, list[CalendarPeriod]] = {}
        for period in sorted(periods, key=lambda each: each.valid_from, reverse=True):
            self._periods.setdefault(period.exchange, []).append(period)

    def period(self, exchange: str, day: date) -> CalendarPeriod | None:
        """Return the calendar of an exchange on a day: its own, else the one for any exchange; None without one."""
        for name in (exchange, ANY_EXCHANGE):
            for period in self._periods.get(name, ()):
                if period.covers(day):
                    return period
        return None

    def plan(self, exchange: str, day: date) -> DayPlan | None:
        """Return the plan of an exchange's day; None without a calendar."""
        period = self.period(exchange, day)
        return None if period is None else period.plan(day)

    def phase(self, exchange: str, at: datetime) -> MarketPhase | None:
        """Return the phase of an exchange at an aware instant; None without a calendar."""
        local = at.astimezone(ZONE)
        plan = self.plan(exchange, local.date())
        return None if plan is None else plan.phase(second_of_day(local))


NO_CALENDARS: Final = Calendars()


def second_of_day(local: datetime) -> SecondOfDay:
    """Return the seconds since midnight of a local time."""
    return local.hour * 3600 + local.minute * 60 + local.second


def exchange_of(symbol: str) -> str:
    """Return the exchange of ``EXCHANGE:TRADINGSYMBOL``."""
    return symbol.partition(":")[0]
