"""Geometry of the charts; the templates draw it as inline SVG with classes: no inline style is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.console.api_client import Json
from services.console.trade_story import levels_of
from services.console.wording import instant, money

WIDTH, HEIGHT = 580, 230
LEFT, RIGHT, TOP, BOTTOM = 6, 150, 18, 28
LABEL_GAP = 17
BAR_WIDTH = 260


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at a price; the label may stand a little beside it: no two overlap."""

    name: str
    price: str
    y: float
    label_y: float
    tone: str


@dataclass(frozen=True, slots=True)
class Point:
    """A price at a time."""

    name: str
    price: str
    x: float
    y: float
    tone: str


@dataclass(frozen=True, slots=True)
class PriceChart:
    """Levels and points of a trade; `path` joins the points in order of time."""

    levels: list[Level]
    points: list[Point]
    path: str
    first: datetime
    last: datetime
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of the largest amount, left of the axis for a loss."""

    x: float
    width: float
    tone: str


def price_chart(trade: Json, intents: Sequence[Json], now: datetime, price: str | None = None) -> PriceChart:
    """Return the chart of entry, levels, detections and exit of a trade, and of the last `price` of an open one."""
    known = [("Entry", trade["entry_price"], instant(trade["entered_at"]), "info")]
    for intent in intents:
        if intent["detected_price"] is not None:
            at = instant(intent.get("detected_at") or intent["created_at"])
            known.append(("Tick seen", intent["detected_price"], at, "warn"))
    if trade["exit_price"] is not None:
        known.append(("Exit", trade["exit_price"], instant(trade["closed_at"]), "good"))
    if price is not None:
        known.append(("Last price", price, now, "good"))
    known.sort(key=lambda each: each[2])
    lines = [("Entry", trade["entry_price"]), *levels_of(trade["exit_plan"])]
    prices = [Decimal(price) for _, price, *_ in known] + [Decimal(price) for _, price in lines]
    last = max(known[-1][2], now if trade["status"] == "OPEN" else known[-1][2])
    scale = _Scale(min(prices), max(prices), known[0][2], last)
    points = [Point(name, money(price), scale.x(at), scale.y(price), tone) for name, price, at, tone in known]
    path = " ".join(f"{'M' if n == 0 else 'L'}{point.x:.1f} {point.y:.1f}" for n, point in enumerate(points))
    return PriceChart(_levels(lines, scale), points, path, known[0][2], last)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: Decimal
    high: Decimal
    first: datetime
    last: datetime

    def x(self, at: datetime) -> float:
        whole = (self.last - self.first).total_seconds() or 1.0
        return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (at - self.first).total_seconds() / whole

    def y(self, price: str) -> float:
        span = self.high - self.low or Decimal(1)
        return TOP + (HEIGHT - TOP - BOTTOM) * float((self.high - Decimal(price)) / span)


_TONES = {"Target": "good", "Stop loss": "bad"}


def _levels(lines: Sequence[tuple[str, str]], scale: _Scale) -> list[Level]:
    found: list[Level] = []
    lowest = float("-inf")
    for name, price in sorted(lines, key=lambda line: scale.y(line[1])):
        y = scale.y(price)
        label_y = max(y, lowest + LABEL_GAP)
        lowest = label_y
        found.append(Level(name, money(price), y, label_y, _TONES.get(name, "quiet")))
    return found


def bars(amounts: Sequence[str]) -> list[Bar]:
    """Return a bar for each amount of rupees, all on one scale with zero in the middle if gains and losses mix."""
    values = [Decimal(amount) for amount in amounts]
    most = max((abs(value) for value in values), default=Decimal(0)) or Decimal(1)
    is_mixed = any(value < 0 for value in values) and any(value > 0 for value in values)
    room = BAR_WIDTH / 2 if is_mixed else float(BAR_WIDTH)
    return [_bar(float(value / most) * room, room if is_mixed else 0.0) for value in values]


def _bar(length: float, zero: float) -> Bar:
    width = max(abs(length), 1.5)
    return Bar(max(0.0, zero - width) if length < 0 else zero, width, "bad" if length < 0 else "good")
