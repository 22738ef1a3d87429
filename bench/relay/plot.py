"""The plot, an SVG written by hand: drain rates as bars, latencies as ranges on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.relay.figures import Figures, short
from bench.svg import bar, document, text, upright

WIDTH, ROW, TOP = 1080, 34, 64
NAMES, BARS, GAP = 190, 430, 60
ROOM_FOR_WORDS = 140
DECADES = (0.1, 10_000.0)
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2933}.small{font-size:11px;fill:#52606d}.title{font-weight:600}"
    ".ours{fill:#0b6e4f}.other{fill:#7b8794}.ceiling{fill:#cbd2d9}.held{opacity:.45}"
    ".range{stroke-width:6;stroke-linecap:round}.grid{stroke:#e4e7eb}"
)


def plot(figures: Sequence[Figures]) -> str:
    """Draw the whole picture."""
    height = TOP + ROW * len(figures) + 30
    highest = max([one.steady_per_s or 0 for one in figures], default=0) or 1
    parts = [
        text(NAMES, 24, "Drain, events/s", "title"),
        text(NAMES, 42, "pale: while an old transaction is open", "small"),
        text(NAMES + BARS + GAP, 24, "Commit to readable at 1,000/s, ms: p50 to p99", "title"),
        *_grid(height),
    ]
    for place, one in enumerate(figures):
        parts += _row(one, TOP + place * ROW, highest)
    return document(WIDTH, height, "Outbox relays: drain rate and latency", _STYLE, parts)


def _row(one: Figures, y: float, highest: float) -> Iterator[str]:
    kind = _kind(one.name)
    yield text(NAMES - 10, y + 15, one.name, "", anchor="end")
    if one.steady_per_s is None:
        yield text(NAMES, y + 15, "failed", "small")
    else:
        width = (BARS - 70) * one.steady_per_s / highest
        yield bar(NAMES, y, width, 14, kind)
        yield text(NAMES + width + 6, y + 12, short(one.steady_per_s), "small")
    if one.held_per_s is not None:
        width = (BARS - 70) * one.held_per_s / highest
        yield bar(NAMES, y + 16, width, 6, f"{kind} held")
    if one.at_rate is not None:
        yield from _range(one, y, kind)


def _range(one: Figures, y: float, kind: str) -> Iterator[str]:
    assert one.at_rate is not None
    low, high = _x(one.at_rate.p50_ms), _x(one.at_rate.p99_ms)
    colour = {"ours": "#0b6e4f"}.get(kind, "#7b8794")
    yield f'<line class="range" stroke="{colour}" x1="{low:.1f}" y1="{y + 8}" x2="{high:.1f}" y2="{y + 8}"/>'
    words = f"{short(one.at_rate.p50_ms)} to {short(one.at_rate.p99_ms)}{' (behind)' if one.at_rate.behind else ''}"
    if low > _x(DECADES[1]) - ROOM_FOR_WORDS:
        yield text(high, y + 24, words, "small", anchor="end")
    else:
        yield text(low, y + 24, words, "small")


def _grid(height: float) -> Iterator[str]:
    decades = range(round(math.log10(DECADES[0])), round(math.log10(DECADES[1])) + 1)
    for decade in decades:
        x = _x(10.0**decade)
        yield upright(x, TOP - 10, height - 20, "grid")
        yield text(x, height - 6, f"{10.0**decade:g}", "small", anchor="middle")


def _x(value_ms: float) -> float:
    """Return a latency's position on the logarithmic axis, clamped to its end."""
    low, high = map(math.log10, DECADES)
    share = (math.log10(min(max(value_ms, DECADES[0]), DECADES[1])) - low) / (high - low)
    return NAMES + BARS + GAP + share * (WIDTH - NAMES - BARS - GAP - 20)


def _kind(name: str) -> str:
    if name.startswith("exitflow"):
        return "ours"
    return "ceiling" if name.startswith("ceiling") else "other"
