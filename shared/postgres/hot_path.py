"""Statements of hot paths, sent by the driver itself.

SQLAlchemy's compilation, events and result metadata cost three to four times what the driver's own call does (0.34 ms
against 0.09 ms of CPU for two rows of ten columns). A transaction that a tick waits for cannot afford that for each of
its statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Select, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # the library does not type it

Statement = TextClause | Select[Any]


def fetch(connection: Connection, statement: Statement, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Execute a statement in the connection's transaction; return its rows, empty if it returns none.

    The statement is a constant: its text is made once. Lists of texts, ids, whole numbers and bytes are written as
    PostgreSQL's arrays here; the driver would search each of their items for characters to quote.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        The statement failed: the same class that `Connection.execute` raises.
    """
    text, own = _driver_text(statement)
    driver = _driver_of(connection)
    try:
        cursor = driver.cursor().execute(text, own | {name: _sent(value) for name, value in parameters.items()})
        result = cursor.pgresult
        return cursor.fetchall() if result is not None and result.status == ExecStatus.TUPLES_OK else []
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, text, connection, driver) from error


def stream(
    connection: Connection, statement: Statement, parameters: Mapping[str, Any], rows_at_once: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement by a cursor of the server; errors as of `fetch`."""
    text, own = _driver_text(statement)
    driver = _driver_of(connection)
    try:
        with driver.cursor("stream") as cursor:
            cursor.itersize = rows_at_once
            yield from cursor.execute(text, own | {name: _sent(value) for name, value in parameters.items()})
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, text, connection, driver) from error


def _sent(value: Any) -> Any:
    """Return a list of one plain type as the text of an array, and any other value as it is."""
    kinds = set(map(type, value)) if isinstance(value, list) else ()
    if len(kinds) != 1:
        return value
    [kind] = kinds
    if kind is UUID or kind is int:
        return "{" + ",".join(map(str, value)) + "}"
    if kind is bytes:
        return '{"\\\\x' + '","\\\\x'.join(map(bytes.hex, value)) + '"}'
    if kind is str:
        return '{"' + '","'.join([each.replace("\\", "\\\\").replace('"', '\\"') for each in value]) + '"}'
    return value


def _driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection, in a transaction."""
    if not connection.in_transaction():
        connection.begin()
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _as_sqlalchemy_raises_it(
    error: psycopg.Error, text: str, connection: Connection, driver: psycopg.Connection[Any]
) -> Exception:
    """Return the error as `Connection.execute` would raise it; never with parameters, which may hold prices.

    A connection that has ended is invalidated, as there.
    """
    if driver.closed:
        connection.invalidate(error)
    raised = DBAPIError.instance(
        text,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=driver.closed,
        dialect=_DIALECT,
    )
    assert isinstance(raised, Exception)
    return raised


@cache
def _driver_text(statement: Statement) -> tuple[str, dict[str, Any]]:
    """Return the statement with the driver's names of parameters, and the values that are part of it."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(compiled), {name: value for name, value in compiled.params.items() if value is not None}
