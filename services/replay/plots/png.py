"""Drawings as PNG; needs the extra `plot`."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from services.replay.plots.drawing import LIGHT, TEXT_SIZE, Anchor, Colour, Drawing, Line, Steps, Text

_SCALE: Final = 2
"""Pixels of the picture for one of the drawing, in each direction."""
_ANCHORS: Final = {Anchor.START: "ls", Anchor.MIDDLE: "ms", Anchor.END: "rs"}


def png(drawing: Drawing) -> bytes:
    """Return a drawing as a PNG file."""
    image = Image.new("RGB", (drawing.width * _SCALE, drawing.height * _SCALE), LIGHT[Colour.GROUND])
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(TEXT_SIZE * _SCALE)
    for shape in drawing.shapes:
        match shape:
            case Line(x1, y1, x2, y2, colour):
                canvas.line(_scaled((x1, y1), (x2, y2)), LIGHT[colour], _SCALE)
            case Text(x, y, words, anchor, colour):
                canvas.text(_scaled((x, y))[0], words, LIGHT[colour], font, _ANCHORS[anchor])
            case Steps():
                canvas.line(_scaled(*_corners(shape)), LIGHT[shape.colour], 2 * _SCALE, joint="curve")
    written = BytesIO()
    image.save(written, "png", optimize=True)
    return written.getvalue()


def _corners(steps: Steps) -> list[tuple[float, float]]:
    """Return the points of a polyline: a step is a horizontal line and then a vertical one."""
    corners = [steps.points[0]]
    for (_, y_before), (x, y) in pairwise(steps.points):
        corners += [(x, y_before), (x, y)]
    return [*corners, (steps.ends, corners[-1][1])]


def _scaled(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]
