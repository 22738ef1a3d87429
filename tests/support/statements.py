"""The statements executed by the driver, whether from SQLAlchemy or from the product's own hot path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


@contextmanager
def sent_statements() -> Iterator[list[str]]:
    """While inside, every statement of this process, of all connections, except pings after a pause."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> psycopg.Cursor[Any]:
        if query != ";":
            statements.append(str(query))
        return execute(cursor, query, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", noting)
        yield statements


@contextmanager
def waits() -> Iterator[list[str]]:
    """While inside, this process's waits for the server: statements, and pipelines of statements."""
    waited: list[str] = []
    execute, sync, leave = psycopg.Cursor.execute, psycopg.Pipeline.sync, psycopg.Pipeline.__exit__
    commit = psycopg.Connection.commit

    def executing(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> psycopg.Cursor[Any]:
        if not cursor.connection.pgconn.pipeline_status:
            waited.append(str(query))
        return execute(cursor, query, *arguments, **named)

    def syncing(pipeline: psycopg.Pipeline) -> None:
        waited.append("what a pipeline has so far")
        sync(pipeline)

    def leaving(pipeline: psycopg.Pipeline, *error: Any) -> None:
        waited.append("the rest of a pipeline")
        leave(pipeline, *error)

    def committing(connection: psycopg.Connection[Any]) -> None:
        if not connection.pgconn.pipeline_status:
            waited.append("COMMIT")
        commit(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", executing)
        patch.setattr(psycopg.Connection, "commit", committing)
        patch.setattr(psycopg.Pipeline, "sync", syncing)
        patch.setattr(psycopg.Pipeline, "__exit__", leaving)
        yield waited
