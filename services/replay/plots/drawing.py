"""Drawing: shapes in a plane of pixels from the top left, in the order of painting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Anchor(StrEnum):
    """Part of a text that stands at its point."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


class Colour(StrEnum):
    """What is painted: each has a colour on a light ground, and one on a dark ground."""

    GROUND = "ground"
    INK = "ink"
    GRID = "grid"
    ZERO = "zero"
    FIRST = "first"
    SECOND = "second"


LIGHT: Final = {
    Colour.GROUND: "#ffffff",
    Colour.INK: "#1f2933",
    Colour.GRID: "#e4e7eb",
    Colour.ZERO: "#7b8794",
    Colour.FIRST: "#0b6e4f",
    Colour.SECOND: "#b45309",
}
DARK: Final = {
    Colour.GROUND: "#111827",
    Colour.INK: "#e4e7eb",
    Colour.GRID: "#323f4b",
    Colour.ZERO: "#9aa5b1",
    Colour.FIRST: "#34d399",
    Colour.SECOND: "#fbbf24",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Line of one pixel."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Text:
    """Text; its baseline is at `y`."""

    x: float
    y: float
    words: str
    anchor: Anchor
    colour: Colour


@dataclass(frozen=True, slots=True)
class Steps:
    """Curve of two pixels that keeps its height until the next of its points, and the last one's until `ends`."""

    points: Sequence[tuple[float, float]]
    ends: float
    colour: Colour


Shape = Line | Text | Steps


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a plain ground, in pixels."""

    width: int
    height: int
    title: str
    shapes: Sequence[Shape]


TEXT_SIZE = 13
"""Height of a text in pixels."""
