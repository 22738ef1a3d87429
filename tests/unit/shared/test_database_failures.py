"""Passing failures of a database, and the name of each."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.postgres.failures import DATABASE_FAILURES, passes, reason

PASSING = {
    errors.DiskFull: "no space left on its disk",
    errors.OutOfMemory: "out of memory",
    errors.TooManyConnections: "too many connections",
    errors.ReadOnlySqlTransaction: "read-only",
    errors.IdleInTransactionSessionTimeout: "the transaction was idle for too long",
    errors.AdminShutdown: "the connection was ended by the server",
    errors.CrashShutdown: "the server crashed and restarts",
    errors.CannotConnectNow: "the server is starting or stopping",
    errors.IoError: "an error of its disk",
    errors.LockNotAvailable: "a lock is held by another transaction",
    errors.SerializationFailure: "a conflict with another transaction",
    errors.DeadlockDetected: "a deadlock",
    errors.QueryCanceled: "a statement took too long",
}


def _as_sqlalchemy(kind: type[psycopg.Error], text: str = "secret") -> Exception:
    wrapper = InternalError if issubclass(kind, psycopg.InternalError) else OperationalError
    return wrapper("SELECT secret", {}, kind(text))


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_known_by_its_code_from_either_library(kind: type[psycopg.DatabaseError]) -> None:
    wrapped = _as_sqlalchemy(kind)
    assert isinstance(wrapped, DATABASE_FAILURES)
    assert passes(wrapped)
    assert passes(kind("secret"))
    assert reason(wrapped) == reason(kind("secret")) == PASSING[kind]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("connection failed: FATAL:  sorry, too many clients already", "too many connections"),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", "too many connections"),
        ("FATAL:  the database system is starting up", "the server is starting or stopping"),
        ("could not write init file: No space left on device", "no space left on its disk"),
        ("connection to server at 10.0.0.7 failed: refused", "OperationalError"),
    ],
)
def test_a_refused_connection_is_named_by_what_the_server_said(text: str, named: str) -> None:
    assert reason(OperationalError("", {}, psycopg.OperationalError(text))) == named


def test_a_pool_in_use_and_a_lost_connection_pass() -> None:
    assert passes(PoolTimeout("secret"))
    assert reason(PoolTimeout("secret")) == "every connection of this process is in use"
    assert passes(InterfaceError("SELECT", {}, psycopg.InterfaceError("the connection is closed")))


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError("SELECT", {}, errors.UndefinedTable("secret")),
        IntegrityError("INSERT", {}, errors.UniqueViolation("secret")),
        DataError("INSERT", {}, errors.NumericValueOutOfRange("secret")),
        InternalError("SELECT", {}, errors.InFailedSqlTransaction("secret")),
        ValueError("secret"),
    ],
)
def test_a_mistake_of_ours_does_not_pass(error: Exception) -> None:
    assert not passes(error)
