"""Words around numbers, for people."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """Return a number with its noun: `1 event`, `14 events`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
