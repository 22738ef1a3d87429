"""Axes: round numbers on the axis of money, days without their nights on the axis of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil, floor, log10
from typing import Final

from shared.clock import TRADING_ZONE

Mark = tuple[float, str]
"""Place on an axis, with its label."""

_MINUTE: Final = 60
_TIME_STEPS_S: Final = (1, 5, 15, 30, *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30, 60, 120, 180)))


@dataclass(frozen=True, slots=True)
class MoneyAxis:
    """Range of money in rupees, widened to whole steps."""

    low: float
    high: float
    step: float

    def marks(self) -> Iterator[Mark]:
        """Yield the steps."""
        decimals = 2 if self.step < 1 else 0
        for nth in range(round((self.high - self.low) / self.step) + 1):
            money = self.low + nth * self.step
            yield money, f"{money:,.{decimals}f}"


def money_axis(amounts: Iterable[float], most: int) -> MoneyAxis:
    """Return the axis for amounts and 0, with about `most` steps of 1, 2 or 5 times a power of ten."""
    known = [0.0, *amounts]
    low, high = min(known), max(known)
    least = max(high - low, 0.01) / most
    power = 10.0 ** floor(log10(least))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= least * 0.999)
    first, last = floor(low / step), ceil(high / step)
    return MoneyAxis(first * step, max(last, first + 1) * step, step)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Days of the same length side by side, each from the earliest to the latest time of day among all.

    Nothing happens at night: with it, three days of exits would be three thin stripes.
    """

    days: Sequence[date]
    opens_s: float
    closes_s: float

    def place(self, at: datetime) -> float:
        """Return where a time lies: 0 is the start, 1 the end."""
        local = at.astimezone(TRADING_ZONE)
        of_day = (_second_of_day(local) - self.opens_s) / (self.closes_s - self.opens_s)
        return (self.days.index(local.date()) + of_day) / len(self.days)

    def marks(self, most: int) -> Iterator[Mark]:
        """Yield the starts of days; of a single day, round times."""
        if len(self.days) > 1:
            every = ceil(len(self.days) / most)
            for nth in range(0, len(self.days), every):
                yield nth / len(self.days), f"{self.days[nth]:%d %b}"
            return
        length_s = self.closes_s - self.opens_s
        step = next((each for each in _TIME_STEPS_S if length_s / each <= most), _TIME_STEPS_S[-1])
        for nth in range(ceil(self.opens_s / step), floor(self.closes_s / step) + 1):
            words = (datetime.combine(date.min, time()) + timedelta(seconds=nth * step)).time()
            yield (nth * step - self.opens_s) / length_s, f"{words:%H:%M}" if step >= _MINUTE else f"{words:%H:%M:%S}"


def time_axis(times: Iterable[datetime]) -> TimeAxis:
    """Return the axis for times, in the trading day's zone."""
    local = [at.astimezone(TRADING_ZONE) for at in times]
    if not local:
        return TimeAxis([date.min], 0.0, 1.0)
    seconds = [_second_of_day(at) for at in local]
    return TimeAxis(sorted({at.date() for at in local}), min(seconds), max(*seconds, min(seconds) + 1))


def _second_of_day(local: datetime) -> float:
    return (local - local.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
