"""Markdown written by the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTICE = "<!-- Written by `make contracts` from the code; do not edit. -->"


def page(title: str, intro: Iterable[str], *blocks: str) -> str:
    """Return a page with a title, a paragraph and blocks."""
    return "\n\n".join([f"# {title}\n{NOTICE}", "\n".join(intro), *(block for block in blocks if block)]) + "\n"


def code(language: str, text: str) -> str:
    """Return a fenced block of code."""
    return f"```{language}\n{text}\n```"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing without rows; a line break or a bar in a cell does not break it."""
    cells = [[_cell(each) for each in row] for row in rows]
    if not cells:
        return ""
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
