"""The plot of the page: a panel of bars for each part, with a line at each goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.svg import bar, document, text, upright
from bench.ticks.page import TITLES, Part, Row

WIDTH, NAMES, BARS = 980, 300, 560
HEAD, LINE, FOOT = 46, 24, 26
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2933}.small{font-size:11px;fill:#52606d}.title{font-weight:600}"
    ".ours{fill:#0b6e4f}.other{fill:#9aa5b1}.goal{stroke:#b45309;stroke-dasharray:4 3}.grid{stroke:#e4e7eb}"
)
Span = tuple[float | None, float]
"""Where a bar begins, None for the axis, and where it ends."""


@dataclass(frozen=True)
class Panel:
    """What is shown of a part: a title, the span of a row, the goals, and whether the axis is logarithmic."""

    title: str
    span: Callable[[Row], Span | None]
    goals: tuple[float, ...] = ()
    logarithmic: bool = False


def _figure(name: str) -> Callable[[Row], Span | None]:
    return lambda row: (None, row.figures[name]) if name in row.figures else None


def _figures(first: str, last: str) -> Callable[[Row], Span | None]:
    return lambda row: (row.figures[first], row.figures[last]) if last in row.figures else None


PANELS = {
    Part.ALONE: Panel(f"{TITLES[Part.ALONE]}: CPU µs of a tick", _figure("cpu_us"), logarithmic=True),
    Part.DRAIN: Panel(f"{TITLES[Part.DRAIN]}: pace, as a share of the bare consume loop", _figure("of_bare"), (0.5,)),
    Part.BURST: Panel(f"{TITLES[Part.BURST]}: seconds to the first and the last", _figures("first_s", "last_s"), (2,)),
    Part.LATENCY: Panel(
        f"{TITLES[Part.LATENCY]}: ms to the readable record, p50 to p99",
        _figures("p50_ms", "p99_ms"),
        (10, 30),
        logarithmic=True,
    ),
}


@dataclass(frozen=True)
class Axis:
    """Places of values, from `low` to `high`."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], *, logarithmic: bool) -> Axis:
        """Return the axis of these values: of whole decades if it is logarithmic, otherwise from nothing."""
        if not logarithmic:
            return cls(0, max(values) * 1.05, False)
        return cls(10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values))), True)

    def x(self, value: float) -> float:
        """Return the place of a value."""
        if self.logarithmic:
            share = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return NAMES + BARS * share

    def marks(self) -> list[float]:
        """Return the decades, or the beginning."""
        if not self.logarithmic:
            return [self.low]
        return [10.0**decade for decade in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]


def plot(rows: Sequence[Row]) -> str:
    """Draw the panels of the parts with rows."""
    parts: list[str] = []
    top = 0.0
    for part, panel in PANELS.items():
        found = [(row, span) for row in rows if row.part is part and (span := panel.span(row)) is not None]
        if found:
            parts += _panel(panel, found, top)
            top += HEAD + LINE * len(found) + FOOT
    return document(WIDTH, top, "The tick worker: cost of a tick, pace, bursts and latency", _STYLE, parts)


def _panel(panel: Panel, found: Sequence[tuple[Row, Span]], top: float) -> Iterator[str]:
    values = [value for _, span in found for value in span if value is not None]
    axis = Axis.over([*values, *panel.goals], logarithmic=panel.logarithmic)
    first, bottom = top + HEAD, top + HEAD + LINE * len(found)
    yield text(20, top + 24, panel.title, "title")
    for mark in (each for each in axis.marks() if each not in panel.goals):
        yield upright(axis.x(mark), first - 6, bottom, "grid")
        yield text(axis.x(mark), bottom + 14, f"{mark:,.10g}", "small", anchor="middle")
    for place, (row, span) in enumerate(found):
        yield from _row(row, span, axis, first + LINE * place)
    for goal in panel.goals:
        yield upright(axis.x(goal), first - 6, bottom, "goal")
        yield text(axis.x(goal), bottom + 14, f"goal {goal:g}", "small", anchor="middle")


def _row(row: Row, span: Span, axis: Axis, y: float) -> Iterator[str]:
    begins, ends = span
    left = axis.x(axis.low if begins is None else begins)
    words = _number(ends) if begins is None else f"{_number(begins)} to {_number(ends)}"
    yield text(NAMES - 10, y + 12, f"{row.what}, {row.trades:,}", "", anchor="end")
    yield bar(left, y, axis.x(ends) - left, 14, "ours" if row.is_ours else "other")
    yield text(axis.x(ends) + 6, y + 12, words, "small")


def _number(value: float) -> str:
    """Return a number with three digits, or whole from 1,000 on."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
