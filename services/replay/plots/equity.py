"""Plot of replays: the summed net P&L over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from services.replay.plots.axes import MoneyAxis, TimeAxis, money_axis, time_axis
from services.replay.plots.drawing import Anchor, Colour, Drawing, Line, Shape, Steps, Text
from shared.money import money_text

Points = Sequence[tuple[datetime, Decimal]]

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT, TOP, BOTTOM = 110, 20, 60, 50
MOST_MARKS: Final = 6
_CURVES: Final = (Colour.FIRST, Colour.SECOND)


def equity_plot(curves: Mapping[str, Points]) -> Drawing:
    """Draw each curve by its name; every curve starts at 0 and changes at an exit."""
    every = [point for points in curves.values() for point in points]
    money, when = money_axis([float(total) for _, total in every], MOST_MARKS), time_axis([at for at, _ in every])
    title = "Net P&L in rupees, realised; days and times of India"
    shapes: list[Shape] = [Text(LEFT, 22, title, Anchor.START, Colour.INK), *_axes(money, when, is_empty=not every)]
    for nth, (name, points) in enumerate(curves.items()):
        colour = _CURVES[nth % len(_CURVES)]
        last = money_text(points[-1][1]) if points else "no exits"
        corners = [(_x(when.place(at)), _y(money, float(total))) for at, total in points]
        shapes += (
            Steps([(LEFT, _y(money, 0)), *corners], WIDTH - RIGHT, colour),
            Text(LEFT + nth * 320, 44, f"{name}: {last}", Anchor.START, colour),
        )
    return Drawing(WIDTH, HEIGHT, "Net P&L of the replay", shapes)


def _axes(money: MoneyAxis, when: TimeAxis, *, is_empty: bool) -> Iterator[Shape]:
    for amount, words in money.marks():
        y = _y(money, amount)
        yield Line(LEFT, y, WIDTH - RIGHT, y, Colour.GRID)
        yield Text(LEFT - 8, y + 4, words, Anchor.END, Colour.INK)
    for place, words in () if is_empty else when.marks(MOST_MARKS):
        x = _x(place)
        yield Line(x, TOP, x, HEIGHT - BOTTOM, Colour.GRID)
        anchor = Anchor.MIDDLE if len(when.days) == 1 else Anchor.START
        yield Text(x, HEIGHT - BOTTOM + 20, words, anchor, Colour.INK)
    zero = _y(money, 0)
    yield Line(LEFT, zero, WIDTH - RIGHT, zero, Colour.ZERO)


def _x(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _y(axis: MoneyAxis, money: float) -> float:
    return HEIGHT - BOTTOM - (money - axis.low) / (axis.high - axis.low) * (HEIGHT - TOP - BOTTOM)
