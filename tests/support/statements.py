"""The statements executed by the driver, whether from SQLAlchemy or from the product's own hot path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg._connection_base import BaseConnection
from psycopg._pipeline_base import BasePipeline

from shared.postgres.settled_pipeline import Reply, SettledPipeline


@contextmanager
def sent_statements() -> Iterator[list[str]]:
    """While inside, every statement of this process, of all connections, except pings after a pause."""
    statements: list[str] = []
    execute, send = psycopg.Cursor.execute, SettledPipeline.send_statement

    def sending(pipeline: SettledPipeline, query: bytes, *arguments: Any) -> Reply:
        statements.append(query.decode())
        return send(pipeline, query, *arguments)

    def noting(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> psycopg.Cursor[Any]:
        if query != ";":
            statements.append(str(query))
        return execute(cursor, query, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", noting)
        patch.setattr(SettledPipeline, "send_statement", sending)
        yield statements


@contextmanager
def waits() -> Iterator[list[str]]:
    """While inside, this process's waits for the server: statements, and pipelines of statements.

    The beginning of a transaction and its end are statements too.
    """
    waited: list[str] = []
    execute, sync, command = psycopg.Cursor.execute, BasePipeline._enqueue_sync, BaseConnection._exec_command

    def executing(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> psycopg.Cursor[Any]:
        if not cursor.connection.pgconn.pipeline_status:
            waited.append(str(query))
        return execute(cursor, query, *arguments, **named)

    def syncing(pipeline: BasePipeline) -> None:
        waited.append("what a pipeline has so far")
        sync(pipeline)

    def commanding(connection: BaseConnection[Any], text: Any, *arguments: Any, **named: Any) -> Any:
        if not connection.pgconn.pipeline_status:
            waited.append(text.decode() if isinstance(text, bytes) else str(text))
        return command(connection, text, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", executing)
        patch.setattr(BasePipeline, "_enqueue_sync", syncing)
        patch.setattr(BaseConnection, "_exec_command", commanding)
        yield waited
