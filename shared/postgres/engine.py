"""Connections to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from shared.clock import SystemClock
from shared.postgres.connection_limits import KEEPALIVES, REQUESTS, ConnectionLimits, LimitedConnection
from shared.postgres.poolers import explain_pooler, preparing, set_in_each_transaction, settings_of_each_transaction

RESTED_S = 0.5
"""A connection used within this time is not checked before its next use."""

_USED_AT = "used_at"

BY_INDEX = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan", "jit": "off"}
"""Settings of the planner for loops with a few repeated statements, each of them answered by an index.

Before a table has statistics, as in the first burst of a new database, the planner would read it whole. A statement is
planned once for a connection: planning one with the facts of all gates takes longer than executing it.
"""


def open_engine(
    url: str,
    schema: str,
    *,
    application: str,
    pool_size: int = 5,
    limits: ConnectionLimits = REQUESTS,
    pooler: bool = False,
    planner: Mapping[str, str] | None = None,
) -> Engine:
    """Return an engine with connections to `schema` and the catalogue alone.

    Parameters
    ----------
    url:
        ``postgresql://role:password@host:port/database``.
    schema:
        The service's schema; unqualified names mean it.
    application:
        Shown in ``pg_stat_activity``.
    pool_size:
        Connections kept open at most.
    limits:
        Time-outs.
    pooler:
        The URL leads to a pooler in transaction mode. It keeps no settings of a session, so they are sent with each
        transaction, and no statement is prepared on the server.
    planner:
        Settings of the planner for all statements of a loop that repeats a few: each is prepared at once.
    """
    settings = {"search_path": schema, "timezone": "UTC", **limits.server_settings(), **(planner or {})}
    connect_args: dict[str, Any] = {
        "application_name": application,
        "connect_timeout": limits.connect_s,
        **KEEPALIVES,
        **preparing(pooler=pooler, repeats_few=planner is not None),
    }
    if not pooler:
        connect_args["options"] = startup_options(settings)
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # the connection used last has its statements prepared and its caches warm
        pool_timeout=limits.pool_s,
        json_deserializer=msgspec.json.decode,  # exits carry kilobytes of verdicts
        connect_args=connect_args,
    )
    _limit_answers(engine, limits.answer_s)
    _ping_after_rest(engine)
    _roll_back_failed_commits(engine)
    if pooler:
        _send_with_each_transaction(engine, settings)
    return engine


@contextmanager
def look(engine: Engine) -> Iterator[Connection]:
    """Open a connection for statements that are each a transaction: one round trip each, where others take three.

    Through a pooler they are one transaction, which begins with its settings.
    """
    with engine.connect() as connection:
        if settings_of_each_transaction(engine) is None:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def startup_options(settings: dict[str, str]) -> str:
    """Return settings as the start-up parameter ``options``."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _limit_answers(engine: Engine, answer_s: float | None) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, args: Any, kwargs: Any) -> LimitedConnection:
        with explain_pooler():
            return LimitedConnection.open(answer_s, *args, **kwargs)


def _ping_after_rest(engine: Engine) -> None:
    """Check a connection before its first use after a pause; a busy one costs no round trip.

    A restart of the server takes longer than RESTED_S, so its end is seen by a statement or by the next check.
    """
    clock = SystemClock()

    @event.listens_for(engine, "checkin")
    def note(_: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = clock.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or clock.monotonic() - used_at < RESTED_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error  # the pool opens a new connection, and checks no other one


def _roll_back_failed_commits(engine: Engine) -> None:
    """Let no transaction outlast its use of a connection.

    SQLAlchemy takes a failed commit for the end of the transaction, and asks for no rollback. In a pipeline the failure
    may be that of an earlier statement: the commit was not executed.
    """

    @event.listens_for(engine, "checkin")
    def roll_back(connection: psycopg.Connection[Any] | None, record: ConnectionPoolEntry) -> None:
        if connection is None or connection.closed or connection.info.transaction_status == TransactionStatus.IDLE:
            return
        try:
            connection.rollback()
        except psycopg.Error as error:
            record.invalidate(error)


def _send_with_each_transaction(engine: Engine, settings: dict[str, str]) -> None:
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    statement = f"SELECT {calls}"
    set_in_each_transaction(engine, statement)

    @event.listens_for(engine, "begin")
    def set_local(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
