"""The trading days of brokers' books as SQL."""

from __future__ import annotations


def books_began(begins: str) -> str:
    """Return the SQL instant of the beginning of today's books, given their time of day in India as an SQL interval."""
    return f"date_trunc('day', clock_timestamp() - {begins}, 'Asia/Kolkata') + {begins}"
