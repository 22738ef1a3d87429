"""Drawing: shapes in a plane of pixels from the top left, in the order of painting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Anchor(StrEnum):
    """Part of a text that stands at its point."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True, slots=True)
class Line:
    """Line of one pixel."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str


@dataclass(frozen=True, slots=True)
class Text:
    """Text; its baseline is at `y`."""

    x: float
    y: float
    words: str
    anchor: Anchor
    colour: str


@dataclass(frozen=True, slots=True)
class Steps:
    """Curve of two pixels that keeps its height until the next of its points, and the last one's until `ends`."""

    points: Sequence[tuple[float, float]]
    ends: float
    colour: str


Shape = Line | Text | Steps


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on white, in pixels."""

    width: int
    height: int
    title: str
    shapes: Sequence[Shape]


TEXT_SIZE = 13
"""Height of a text in pixels."""
