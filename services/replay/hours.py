"""Hours of exchanges without a database: square-off times and sessions of a calendar file."""

from __future__ import annotations

from datetime import time

from services.exit_qualification.calendar_periods import period_of
from services.exit_qualification.domain.market_calendar import NO_CALENDARS, Calendars
from services.exit_qualification.domain.square_off import SquareOff
from shared.contracts.calendars import CalendarFile
from shared.contracts.vocabulary import ProductType


def square_off(mis: time, file: CalendarFile | None) -> SquareOff:
    """Return the square-off times of a file's calendars; `mis` is the time of MIS on days without one in them."""
    calendars = NO_CALENDARS if file is None else Calendars(map(period_of, file.calendars))
    return SquareOff({ProductType.MIS: mis}, calendars)
