"""Connections to PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from shared.postgres.connection_limits import KEEPALIVES, REQUESTS, ConnectionLimits, LimitedConnection
from shared.postgres.poolers import explain_pooler


def open_engine(
    url: str,
    schema: str,
    *,
    application: str,
    pool_size: int = 5,
    limits: ConnectionLimits = REQUESTS,
    pooler: bool = False,
) -> Engine:
    """Return an engine whose connections see only `schema` and the catalogue.

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
        The URL leads to a pooler in transaction mode, which keeps no settings of a session: they are sent with each
        transaction, and no statement is prepared on the server.
    """
    settings = {"search_path": schema, "timezone": "UTC", **limits.server_settings()}
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=limits.pool_s,
        pool_pre_ping=True,
        connect_args={
            "application_name": application,
            "connect_timeout": limits.connect_s,
            **KEEPALIVES,
            **({"prepare_threshold": None} if pooler else {"options": startup_options(settings)}),
        },
    )
    _limit_answers(engine, limits.answer_s)
    if pooler:
        _send_with_each_transaction(engine, settings)
    return engine


def startup_options(settings: dict[str, str]) -> str:
    """Return settings as the start-up parameter ``options``."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _limit_answers(engine: Engine, answer_s: float | None) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, args: Any, kwargs: Any) -> LimitedConnection:
        with explain_pooler():
            return LimitedConnection.open(answer_s, *args, **kwargs)


def _send_with_each_transaction(engine: Engine, settings: dict[str, str]) -> None:
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    statement = f"SELECT {calls}"

    @event.listens_for(engine, "begin")
    def set_local(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
