"""Drawings as SVG."""

from __future__ import annotations

from html import escape

from services.replay.plots.drawing import TEXT_SIZE, Drawing, Line, Shape, Steps, Text


def svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG document."""
    width, height = drawing.width, drawing.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(drawing.title)}</title>",
        f"<style>text{{font:{TEXT_SIZE}px system-ui,sans-serif}}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *map(_element, drawing.shapes),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _element(shape: Shape) -> str:
    match shape:
        case Line(x1, y1, x2, y2, colour):
            return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
        case Text(x, y, words, anchor, colour):
            place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            return f'<text {place} style="fill:{colour}">{escape(words)}</text>'
        case Steps(points, ends, colour):
            (first_x, first_y), *others = points
            steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
            path = f"M{first_x:.1f} {first_y:.1f}{steps}H{ends:.1f}"
            return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
