"""Parts of plots, as SVG written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def document(width: float, height: float, title: str, style: str, parts: Iterable[str]) -> str:
    """Return a picture of these parts on a white ground; `style` is CSS."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{style}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    """Return words of class `kind`; their baseline is at `y`."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a bar of class `kind`."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def upright(x: float, top: float, bottom: float, kind: str) -> str:
    """Return a vertical line of class `kind`."""
    return f'<line class="{kind}" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>'
