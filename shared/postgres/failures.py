"""Transient database failures: how to recognize and name them.

The server is unreachable, stopped, out of connections, memory or disk, read-only, or rolled back this transaction.
Every loop using a database catches `DATABASE_FAILURES`, waits and retries.
"""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.postgres.connection_limits import NoAnswer

DATABASE_FAILURES = (OperationalError, InterfaceError, InternalError, PoolTimeout)
"""SQLAlchemy's classes for them. PostgreSQL reports some, such as a read-only server, as internal errors."""

_REASONS = {
    "53100": "no space left on its disk",
    "53200": "out of memory",
    "53300": "too many connections",
    "53400": "a limit of its configuration is reached",
    "25006": "read-only",
    "25P03": "the transaction was idle for too long",
    "25P04": "the transaction took too long",
    "40001": "a conflict with another transaction",
    "40P01": "a deadlock",
    "55P03": "a lock is held by another transaction",
    "57014": "a statement took too long",
    "57P01": "the connection was ended by the server",
    "57P02": "the server crashed and restarts",
    "57P03": "the server is starting or stopping",
    "58030": "an error of its disk",
}
_PASSING_INTERNAL = frozenset({"25006", "25P03", "25P04"})


def passes(error: BaseException) -> bool:
    """Return True if the same work may succeed later although nothing about it changes."""
    if isinstance(error, PoolTimeout | psycopg.OperationalError | psycopg.InterfaceError):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and passes(error.orig))
    return isinstance(error, psycopg.Error) and error.sqlstate in _PASSING_INTERNAL


def reason(error: BaseException) -> str:
    """Describe a database failure in a few words, without host, role, statement or parameters."""
    if isinstance(error, PoolTimeout):
        return "every connection of this process is in use"
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, NoAnswer):
        return str(cause)
    if isinstance(cause, psycopg.errors.ConnectionTimeout):
        return "no answer to a new connection"
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    # While a connection is being opened psycopg has the server's text but no code.
    return _REASONS.get(state or _code_in(str(cause)), type(cause).__name__)


def _code_in(text: str) -> str:
    return next((code for words, code in _REFUSALS.items() if words in text), "")


_REFUSALS = {
    "too many clients": "53300",
    "too many connections": "53300",
    "remaining connection slots": "53300",
    "the database system is": "57P03",
    "out of memory": "53200",
    "No space left on device": "53100",
}
"""Texts of refused connections, by the server's code."""
