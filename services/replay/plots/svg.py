"""Drawings as SVG, light or dark as the reader's screen."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from services.replay.plots.drawing import DARK, LIGHT, TEXT_SIZE, Colour, Drawing, Line, Shape, Steps, Text


def svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG document."""
    width, height = drawing.width, drawing.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(drawing.title)}</title>",
        f"<style>text{{font:{TEXT_SIZE}px system-ui,sans-serif}}{_colours(LIGHT)}",
        f"@media(prefers-color-scheme:dark){{{_colours(DARK)}}}</style>",
        f'<rect width="{width}" height="{height}" class="{Colour.GROUND}"/>',
        *map(_element, drawing.shapes),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _colours(colours: Mapping[Colour, str]) -> str:
    """Return the rules of style: lines take the stroke, texts and the ground the fill."""
    filled = "".join(f"text.{name},rect.{name}{{fill:{colour}}}" for name, colour in colours.items())
    return filled + "".join(f"line.{name},path.{name}{{stroke:{colour}}}" for name, colour in colours.items())


def _element(shape: Shape) -> str:
    match shape:
        case Line(x1, y1, x2, y2, colour):
            return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{colour}"/>'
        case Text(x, y, words, anchor, colour):
            place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            return f'<text {place} class="{colour}">{escape(words)}</text>'
        case Steps(points, ends, colour):
            (first_x, first_y), *others = points
            steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
            path = f"M{first_x:.1f} {first_y:.1f}{steps}H{ends:.1f}"
            return f'<path d="{path}" fill="none" class="{colour}" stroke-width="2"/>'
