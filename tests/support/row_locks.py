"""A row locked by somebody, as by a forgotten console session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def held_row(url: str, schema: str, query: str, *parameters: object) -> Iterator[None]:
    """While inside, a separate transaction holds the rows of a query, at least one."""
    with psycopg.connect(url, options=f"-c search_path={schema}") as connection:
        found = connection.execute(f"{query} FOR UPDATE".encode(), parameters).fetchall()
        assert found, f"nothing to hold: {query}"
        yield
        connection.rollback()
