"""Routes of the market calendars."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from services.exit_qualification.api.context import Context
from services.exit_qualification.domain.market_calendar import ZONE, CalendarPeriod, DayPlan, second_of_day
from services.exit_qualification.storage.market_calendars import CalendarRepository, Change
from shared.clock import trading_day
from shared.contracts.calendars import CalendarDate, CalendarFile, Exchange, MarketCalendar, SessionHours
from shared.contracts.vocabulary import MarketPhase, ProductType
from shared.http.auth import Operator, Reader
from shared.http.fields import Reason
from shared.http.routing import api_router
from shared.postgres.audit import Act

router = api_router(prefix="/calendars", tags=["calendars"])


class PutCalendars(CalendarFile):
    """Calendars to add or replace; other calendars stay."""

    reason: Reason


class CalendarChangeView(BaseModel):
    """Effect of loading one calendar."""

    exchange: str
    valid_from: date
    change: Change


class CalendarChanges(BaseModel):
    """Effect of loading calendars; nothing was stored if `dry_run` is true."""

    dry_run: bool
    changes: list[CalendarChangeView]


class CalendarList(BaseModel):
    """Every stored calendar."""

    items: list[MarketCalendar]


class MarketCalendarKey(BaseModel):
    """Exchange and first day of a calendar; exchange * stands for any exchange without one."""

    exchange: str
    valid_from: date


class CalendarDayView(BaseModel):
    """One day of an exchange."""

    exchange: str
    date: date
    calendar: MarketCalendarKey | None = Field(description="calendar of the day; null without one")
    name: str | None = Field(description="name of a holiday or special day")
    is_trading_day: bool | None = Field(description="null without a calendar: exits are not held back")
    sessions: list[SessionHours]
    square_off: dict[ProductType, str]
    phase_now: MarketPhase | None = Field(description="phase now if the day is today, else null")


@router.get("")
def calendars(context: Context, _: Reader) -> CalendarList:
    """List every calendar, by exchange and first day."""
    with context.unit_of_work() as uow:
        return CalendarList(items=CalendarRepository(uow.connection).stored())


@router.get("/day")
def calendar_day(
    context: Context,
    _: Reader,
    exchange: Exchange,
    on: Annotated[CalendarDate | None, Query(alias="date", description="today by default")] = None,
) -> CalendarDayView:
    """Return sessions and square-off times of an exchange on a day."""
    now = context.clock.now()
    day = on or trading_day(now)
    with context.unit_of_work() as uow:
        period = CalendarRepository(uow.connection).calendars().period(exchange, day)
    return _day(exchange, day, period, now)


@router.put("")
def put_calendars(body: PutCalendars, context: Context, caller: Operator, dry_run: bool = False) -> CalendarChanges:
    """Add or replace calendars. Exits follow the new hours at once; `dry_run` only returns the changes."""
    with context.unit_of_work() as uow:
        changes = CalendarRepository(uow.connection).put(body.calendars, Act(caller.name, body.reason))
        if not dry_run:
            uow.commit()
    views = [CalendarChangeView(exchange=it.exchange, valid_from=it.valid_from, change=it.change) for it in changes]
    return CalendarChanges(dry_run=dry_run, changes=views)


def _day(exchange: str, day: date, period: CalendarPeriod | None, now: datetime) -> CalendarDayView:
    plan = DayPlan() if period is None else period.plan(day)
    local = now.astimezone(ZONE)
    is_today = period is not None and local.date() == day
    return CalendarDayView(
        exchange=exchange,
        date=day,
        calendar=None if period is None else MarketCalendarKey(exchange=period.exchange, valid_from=period.valid_from),
        name=plan.name,
        is_trading_day=None if period is None else plan.is_trading_day,
        sessions=[
            SessionHours(phase=each.phase, opens=_text(each.opens), closes=_text(each.closes)) for each in plan.sessions
        ],
        square_off={product: _text(at) for product, at in plan.square_off.items()},
        phase_now=plan.phase(second_of_day(local)) if is_today else None,
    )


def _text(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
