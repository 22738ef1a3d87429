"""Times of the daily square-off per exchange and product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from services.exit_qualification.domain.market_calendar import (
    NO_CALENDARS,
    ZONE,
    Calendars,
    DayPlan,
    SecondOfDay,
    exchange_of,
)
from shared.contracts.vocabulary import MarketPhase, ProductType

_LONGEST_CLOSURE_DAYS = 31
"""Days to search for the next trading day; no exchange is closed for longer."""
_BEFORE_CLOSE_S = 600


@dataclass(frozen=True, slots=True)
class SquareOff:
    """Square-off times: those of the exchange's calendar, else `times`; a product without one is never squared off.

    Attributes
    ----------
    times:
        Default for each product, Asia/Kolkata, on days without a time in the calendar.
    """

    times: Mapping[ProductType, time] = field(default_factory=dict)
    calendars: Calendars = NO_CALENDARS

    def after_entry_ms(self, symbol: str, product_type: ProductType, entered_at_ms: int) -> int | None:
        """Return the first square-off after an entry, both in milliseconds since 1970; None if there is none.

        Days without an open session in the calendar are skipped.
        """
        entered_at = datetime.fromtimestamp(entered_at_ms // 1000, ZONE)
        first = entered_at.date()
        for days in range(min(_LONGEST_CLOSURE_DAYS, (date.max - first).days) + 1):
            day = first + timedelta(days=days)
            at = self._second(self.calendars.plan(exchange_of(symbol), day), product_type)
            if at is None:
                continue
            square_off = datetime.combine(day, time(), ZONE) + timedelta(seconds=at)
            if square_off > entered_at:
                return int(square_off.timestamp()) * 1000
        return None

    def _second(self, plan: DayPlan | None, product_type: ProductType) -> int | None:
        """Return the square-off of a product in seconds of the day; None if the day has none."""
        if plan is not None and product_type in plan.square_off and plan.is_trading_day:
            return plan.square_off[product_type]
        at = self.times.get(product_type)
        return None if at is None else _within_sessions(plan, at.hour * 3600 + at.minute * 60 + at.second)


def _within_sessions(plan: DayPlan | None, second: SecondOfDay) -> SecondOfDay | None:
    """Return a default time if the exchange is open then, else one before the day's last close; None if it is closed.

    A short day or muhurat trading without a square-off time of its own would else carry its trades overnight.
    """
    if plan is None or plan.phase(second) is MarketPhase.OPEN:
        return second
    last = plan.last_open
    return None if last is None else max(last.opens, last.closes - _BEFORE_CLOSE_S)


NEVER: Final = SquareOff()
