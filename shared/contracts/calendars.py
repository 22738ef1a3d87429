"""Wire shape of market calendars: the body of `PUT /calendars` and the content of a calendar file."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.contracts.vocabulary import MarketPhase, ProductType

_TIME: Final = r"^(([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?|24:00(:00)?)$"


def _with_seconds(text: str) -> str:
    return text if text.count(":") == 2 else f"{text}:00"


TimeOfDay = Annotated[
    str,
    Field(pattern=_TIME, examples=["09:15", "23:30:00", "24:00"], description="Asia/Kolkata; 24:00 ends the day"),
    AfterValidator(_with_seconds),
]
Exchange = Annotated[str, Field(pattern=r"^([A-Z0-9]{2,10}|\*)$", examples=["NSE", "MCX", "*"])]
CalendarDate = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))]
DayName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Weekday = Annotated[int, Field(ge=1, le=7, description="ISO: 1 is Monday, 7 is Sunday")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionHours(_Part):
    """One session of a trading day: from `opens` until just before `closes`."""

    phase: MarketPhase = MarketPhase.OPEN
    opens: TimeOfDay
    closes: TimeOfDay

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError(f"session {self.opens}-{self.closes}: opens must be before closes")
        if self.phase is MarketPhase.CLOSED:
            raise ValueError("a session cannot have phase CLOSED; leave the time out instead")
        return self


class DayHours(_Part):
    """Sessions of a day and the square-off time of each product; a product left out is not given a time."""

    sessions: list[SessionHours] = Field(default_factory=list, max_length=20)
    square_off: dict[ProductType, TimeOfDay] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sessions_do_not_overlap(self) -> Self:
        ordered = sorted(self.sessions, key=lambda session: session.opens)
        for earlier, later in pairwise(ordered):
            if later.opens < earlier.closes:
                raise ValueError(f"sessions overlap: {earlier.opens}-{earlier.closes} and {later.opens}-{later.closes}")
        return self


class SpecialDay(DayHours):
    """A day unlike its weekday: a holiday without sessions, or special sessions such as muhurat trading."""

    date: CalendarDate
    name: DayName


class MarketCalendar(DayHours):
    """Hours of one exchange from a day on.

    Of several calendars covering a day of an exchange, the one with the latest `valid_from` counts.
    """

    exchange: Exchange
    valid_from: CalendarDate
    valid_to: CalendarDate | None = None
    weekdays: list[Weekday] = Field(default_factory=lambda: [1, 2, 3, 4, 5], max_length=7)
    tick_fresh_ms: int = Field(
        3000, ge=100, le=86_400_000, description="an exit by price waits while the last tick or quote is older"
    )
    days: list[SpecialDay] = Field(default_factory=list, max_length=1000)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} is before valid_from {self.valid_from}")
        if len(set(self.weekdays)) != len(self.weekdays):
            raise ValueError("a weekday is given twice")
        dates = [day.date for day in self.days]
        if len(set(dates)) != len(dates):
            raise ValueError("a date is given twice in days")
        outside = [day for day in dates if day < self.valid_from or (self.valid_to is not None and day > self.valid_to)]
        if outside:
            raise ValueError(f"days outside the calendar's validity: {', '.join(map(str, sorted(outside)[:5]))}")
        return self


class CalendarFile(_Part):
    """Calendars of one or more exchanges."""

    calendars: list[MarketCalendar] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _has_each_once(self) -> Self:
        keys = [(each.exchange, each.valid_from) for each in self.calendars]
        if len(set(keys)) != len(keys):
            raise ValueError("a calendar (exchange, valid_from) is given twice")
        return self
