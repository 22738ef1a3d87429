"""The statements that the driver is asked to execute, whether SQLAlchemy or the product's own hot path asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


@contextmanager
def sent_statements() -> Iterator[list[str]]:
    """While inside, every statement of this process, of all connections, but the ping of one that has rested."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> psycopg.Cursor[Any]:
        if query != ";":
            statements.append(str(query))
        return execute(cursor, query, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", noting)
        yield statements
