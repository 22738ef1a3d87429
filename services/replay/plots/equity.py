"""Plot of replays: the summed net P&L over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from services.replay.plots.drawing import Anchor, Drawing, Line, Shape, Steps, Text
from shared.clock import TRADING_ZONE
from shared.money import money_text

Points = Sequence[tuple[datetime, Decimal]]

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT, TOP, BOTTOM = 110, 20, 60, 50
TICKS: Final = 5
_COLOURS: Final = ("#0b6e4f", "#b45309")
_INK, _GRID, _ZERO = "#1f2933", "#e4e7eb", "#7b8794"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Extent of the axes: time in seconds since 1970, money in rupees."""

    starts: float
    ends: float
    low: float
    high: float

    def x(self, at: float) -> float:
        return LEFT + (at - self.starts) / (self.ends - self.starts) * (WIDTH - LEFT - RIGHT)

    def y(self, money: float) -> float:
        return HEIGHT - BOTTOM - (money - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def equity_plot(curves: Mapping[str, Points]) -> Drawing:
    """Draw each curve by its name; every curve starts at 0 and changes at an exit."""
    frame = _frame(list(curves.values()))
    shapes: list[Shape] = [Text(LEFT, 22, "Net P&L in rupees, realised", Anchor.START, _INK), *_axes(frame)]
    for nth, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[nth % len(_COLOURS)]
        last = money_text(points[-1][1]) if points else "no exits"
        corners = [(frame.x(at.timestamp()), frame.y(float(total))) for at, total in points]
        shapes += (
            Steps([(LEFT, frame.y(0)), *corners], WIDTH - RIGHT, colour),
            Text(LEFT + nth * 320, 44, f"{name}: {last}", Anchor.START, colour),
        )
    return Drawing(WIDTH, HEIGHT, "Net P&L of the replay", shapes)


def _frame(curves: Sequence[Points]) -> _Frame:
    times = [at.timestamp() for points in curves for at, _ in points] or [0.0]
    money = [0.0, *(float(total) for points in curves for _, total in points)]
    starts, ends, low, high = min(times), max(times), min(money), max(money)
    return _Frame(starts, ends if ends > starts else starts + 1, low, high if high > low else low + 1)


def _axes(frame: _Frame) -> Iterator[Shape]:
    for nth in range(TICKS + 1):
        money = frame.low + (frame.high - frame.low) * nth / TICKS
        y = frame.y(money)
        yield Line(LEFT, y, WIDTH - RIGHT, y, _GRID)
        yield Text(LEFT - 8, y + 4, f"{money:,.2f}", Anchor.END, _INK)
        at = frame.starts + (frame.ends - frame.starts) * nth / TICKS
        when = datetime.fromtimestamp(at, TRADING_ZONE)
        anchor = Anchor.END if nth == TICKS else Anchor.MIDDLE
        yield Text(frame.x(at), HEIGHT - BOTTOM + 20, f"{when:%d %b %H:%M:%S}", anchor, _INK)
    zero = frame.y(0)
    yield Line(LEFT, zero, WIDTH - RIGHT, zero, _ZERO)
