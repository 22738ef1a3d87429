"""Plot of replays: the summed net P&L over time, as an SVG written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Final

from shared.clock import TRADING_ZONE
from shared.money import money_text

Points = Sequence[tuple[datetime, Decimal]]

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT, TOP, BOTTOM = 110, 20, 60, 50
TICKS: Final = 5
_COLOURS: Final = ("#0b6e4f", "#b45309")
_STYLE: Final = "text{font:13px system-ui,sans-serif;fill:#1f2933}.grid{stroke:#e4e7eb}.zero{stroke:#7b8794}"


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


def plot(curves: Mapping[str, Points]) -> str:
    """Draw each curve by its name; every curve starts at 0."""
    frame = _frame(list(curves.values()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Net P&amp;L of the replay</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 22, "Net P&L in rupees, realised", "start"),
        *_axes(frame),
    ]
    for nth, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[nth % len(_COLOURS)]
        parts.append(f'<path d="{_path(points, frame)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        last = money_text(points[-1][1]) if points else "no exits"
        parts.append(_text(LEFT + nth * 320, 44, f"{name}: {last}", "start", colour))
    return "\n".join([*parts, "</svg>", ""])


def _frame(curves: Sequence[Points]) -> _Frame:
    times = [at.timestamp() for points in curves for at, _ in points] or [0.0]
    money = [0.0, *(float(total) for points in curves for _, total in points)]
    starts, ends, low, high = min(times), max(times), min(money), max(money)
    return _Frame(starts, ends if ends > starts else starts + 1, low, high if high > low else low + 1)


def _axes(frame: _Frame) -> Iterator[str]:
    for nth in range(TICKS + 1):
        money = frame.low + (frame.high - frame.low) * nth / TICKS
        y = frame.y(money)
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        yield _text(LEFT - 8, y + 4, f"{money:,.2f}", "end")
        at = frame.starts + (frame.ends - frame.starts) * nth / TICKS
        when = datetime.fromtimestamp(at, TRADING_ZONE)
        yield _text(frame.x(at), HEIGHT - BOTTOM + 20, f"{when:%d %b %H:%M:%S}", "end" if nth == TICKS else "middle")
    zero = frame.y(0)
    yield f'<line class="zero" x1="{LEFT}" y1="{zero:.1f}" x2="{WIDTH - RIGHT}" y2="{zero:.1f}"/>'


def _path(points: Points, frame: _Frame) -> str:
    """Return steps: the sum changes at an exit and stays until the next."""
    steps = [f"M{LEFT} {frame.y(0):.1f}"]
    for at, total in points:
        steps.append(f"H{frame.x(at.timestamp()):.1f}V{frame.y(float(total)):.1f}")
    return "".join([*steps, f"H{WIDTH - RIGHT}"])


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#1f2933") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}">{escape(words)}</text>'
