"""Statements of hot paths, sent by the driver itself.

SQLAlchemy's compilation, events and result metadata cost three to four times the driver's own call (0.34 ms
against 0.09 ms of CPU for two rows of ten columns). A transaction with a waiting tick cannot afford this for each of
its statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import psycopg
from psycopg.errors import PipelineAborted
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Select, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from shared.postgres.connection_limits import LimitedConnection
from shared.postgres.poolers import settings_of_each_transaction
from shared.postgres.settled_pipeline import Reply, SettledPipeline

_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # the library does not type it

T = TypeVar("T")
_PIPELINE: Final = "pipeline"
_CURSOR: Final = "streamed"
_PARAMETER: Final = re.compile(r"%(?:\((\w+)\)s|%)")
_STATEMENTS: Final = "a pipeline of statements"
Statement = TextClause | Select[Any]


def fetch(connection: Connection, statement: Statement, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Execute a statement in the connection's transaction; return its rows, empty if it returns none.

    The statement is a constant: its text is made once. Lists of one plain type, with or without None, are written as
    PostgreSQL's arrays here. The driver would look up the type of each item and search it for characters to quote. The
    statement must cast them.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        The statement failed: the same class as raised by `Connection.execute`.
    """
    return send(connection, statement, parameters).rows()


class Sent:
    """A sent statement; within `pipelined` the server may still work on it."""

    __slots__ = ("_connection", "_driver", "_reply", "_text")

    def __init__(self, connection: Connection, driver: LimitedConnection, reply: Reply, text: str) -> None:
        self._connection = connection
        self._driver = driver
        self._reply = reply
        self._text = text

    def rows(self) -> list[tuple[Any, ...]]:
        """Wait for the statement and return its rows, once; empty if it returns none. Errors as of `fetch`."""
        self.wait()
        has_rows = self._reply.pgresult is not None and self._reply.pgresult.status == ExecStatus.TUPLES_OK
        return self._reply.fetchall() if has_rows else []

    def wait(self) -> None:
        """Wait for the statement; errors as of `fetch`."""
        try:
            pipeline: SettledPipeline | None = self._connection.info.get(_PIPELINE)
            if self._reply.pgresult is None and pipeline is not None:
                pipeline.sync()
            if self._reply.pgresult is None:
                raise PipelineAborted("an earlier statement of its pipeline failed")
        except psycopg.Error as error:
            raise _as_sqlalchemy_raises_it(error, self._text, self._connection, self._driver) from error


def send(connection: Connection, statement: Statement, parameters: Mapping[str, Any]) -> Sent:
    """Execute a statement as `fetch` does; within `pipelined` do not wait for it."""
    if _PIPELINE in connection.info:
        return _send(connection, _driver_statement(statement), parameters)
    with pipelined(connection):
        sent = _send(connection, _driver_statement(statement), parameters)
        sent.wait()
    return sent


def _send(connection: Connection, statement: _DriverStatement, parameters: Mapping[str, Any]) -> Sent:
    driver = _driver_of(connection)
    try:
        given = {**statement.own, **parameters} if statement.own else parameters
        reply = driver.send_statement(statement.query, [_sent(given[name]) for name in statement.names])
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, statement.text, connection, driver) from error
    return Sent(connection, driver, reply, statement.text)


class Answer(Generic[T]):
    """The answer to a sent statement."""

    __slots__ = ("_read", "_sent")

    def __init__(self, sent: Sent, read: Callable[[list[tuple[Any, ...]]], T]) -> None:
        self._sent = sent
        self._read = read

    def get(self) -> T:
        """Wait for the statement and return its answer; errors as of `fetch`."""
        return self._read(self._sent.rows())


def columns_of(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> dict[str, list[Any]]:
    """Return the values of rows, at least one, as a list for each name: the parameters of an `unnest`."""
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def ask(
    connection: Connection,
    statement: Statement,
    parameters: Mapping[str, Any],
    read: Callable[[list[tuple[Any, ...]]], T],
) -> Answer[T]:
    """Execute a statement as `send` does, and read its rows once they are needed."""
    return Answer(send(connection, statement, parameters), read)


def send_commit(connection: Connection) -> None:
    """Send the commit within `pipelined`; an answer to the next statement proves it.

    If the commit fails, the server ignores the statement, and its answer raises the error of the commit. The statement
    is no part of a transaction; through a pooler it is part of another one, because a session keeps no settings there.
    """
    driver = _driver_of(connection)
    settings = settings_of_each_transaction(connection)
    try:
        driver.send_commit()
        if settings is not None:
            driver.send_begin()
            driver.execute(settings)
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, "COMMIT", connection, driver) from error


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Let the server work on statements of `send` while the caller goes on; at the end all of them are answered.

    Within another pipeline of the connection, they are part of the outer one. `Connection.execute` must not be used
    inside: it expects each result at once.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        A statement failed: the first of them, as `fetch` raises it.
    """
    if _PIPELINE in connection.info:
        yield
        return
    driver, info = _driver_of(connection), connection.info  # a broken connection has none any more
    try:
        with driver.pipeline() as pipeline:
            info[_PIPELINE] = pipeline
            try:
                yield
            finally:
                info.pop(_PIPELINE, None)
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, _STATEMENTS, connection, driver) from error


def settle(connection: Connection) -> None:
    """Wait within `pipelined` until every sent statement is answered.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        A statement failed: the first of them, as `fetch` raises it.
    """
    pipeline: SettledPipeline | None = connection.info.get(_PIPELINE)
    if pipeline is None:
        return
    try:
        pipeline.sync()
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, _STATEMENTS, connection, _driver_of(connection)) from error


def stream(
    connection: Connection, statement: Statement, parameters: Mapping[str, Any], rows_at_once: int
) -> Generator[tuple[Any, ...], None, None]:
    """Yield the rows of a statement; the server reads the next ones while the caller works. Errors as of `fetch`.

    A cursor of the server gives `rows_at_once` rows for each statement, so the connection's limits are for so many
    rows and hold for any number. No other statement of the connection can be sent before the last row.
    """
    known, driver = _driver_statement(statement), _driver_of(connection)
    text, values = known.text, {**known.own, **{name: _sent(value) for name, value in parameters.items()}}
    try:
        with driver.pipeline():
            driver.execute(f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {text}", values)
            coming = _ask_for_more(driver, rows_at_once)
            while rows := coming.fetchall():
                coming = _ask_for_more(driver, rows_at_once)
                yield from rows
            driver.execute(f"CLOSE {_CURSOR}")
    except psycopg.Error as error:
        raise _as_sqlalchemy_raises_it(error, text, connection, driver) from error


def _ask_for_more(driver: psycopg.Connection[Any], rows: int) -> psycopg.Cursor[Any]:
    return driver.cursor(binary=True).execute(f"FETCH FORWARD {rows} FROM {_CURSOR}")


def _sent(value: Any) -> Any:
    """Return a list of one plain type as the text of an array, and any other value as it is."""
    kinds = set(map(type, value)) if isinstance(value, list) else set()
    has_nulls = NoneType in kinds
    kinds.discard(NoneType)
    if len(kinds) != 1:
        return value
    [kind] = kinds
    write = _quoted if issubclass(kind, str) else _WRITERS.get(kind)
    if write is None:
        return value
    if kind is str and not has_nulls and not _has_marks("".join(value)):
        return '{"' + '","'.join(value) + '"}'
    items = ["NULL" if each is None else write(each) for each in value] if has_nulls else map(write, value)
    return "{" + ",".join(items) + "}"


def _has_marks(text: str) -> bool:
    return '"' in text or "\\" in text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    UUID: attrgetter("hex"),  # the dashes would take three times as long
    int: str,
    float: repr,
    Decimal: str,
    bool: {True: "t", False: "f"}.__getitem__,
    datetime: lambda instant: f'"{instant.isoformat()}"',
    bytes: lambda content: f'"\\\\x{content.hex()}"',
}
"""Texts of items by their exact type; texts and their enumerations are quoted."""


def _driver_of(connection: Connection) -> LimitedConnection:
    """Return the driver's connection, in a transaction."""
    if not connection.in_transaction():
        connection.begin()
    driver = connection.connection.driver_connection
    assert isinstance(driver, LimitedConnection)
    return driver


def _as_sqlalchemy_raises_it(
    error: psycopg.Error, text: str, connection: Connection, driver: psycopg.Connection[Any]
) -> Exception:
    """Return the error as `Connection.execute` would raise it; never with parameters, as they may hold prices.

    A closed connection is invalidated, as there.
    """
    if isinstance(error, PipelineAborted) and isinstance(error.__context__, psycopg.Error):
        error = error.__context__  # the reason why the server ignored the rest of the pipeline
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


@dataclass(frozen=True, slots=True)
class _DriverStatement:
    """A constant statement for the server.

    Attributes
    ----------
    text:
        With the driver's names of parameters.
    query, names:
        With ``$1``, ``$2``, … for the parameters of these names.
    own:
        Values of the statement itself.
    """

    text: str
    query: bytes
    names: tuple[str, ...]
    own: Mapping[str, Any]


@cache
def _driver_statement(statement: Statement) -> _DriverStatement:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    text, own = str(compiled), {name: value for name, value in compiled.params.items() if value is not None}
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    query = _PARAMETER.sub(number, text).encode()
    return _DriverStatement(text, query, tuple(numbers), own)
