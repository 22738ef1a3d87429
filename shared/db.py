"""Connections to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

CONNECT_TIMEOUT_S = 5
IDLE_IN_TRANSACTION_MS = 60_000


def open_engine(url: str, schema: str, *, application: str, pool_size: int = 5) -> Engine:
    """An engine whose connections see `schema` first and nothing else but the catalogue.

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
    """
    options = f"-c search_path={schema} -c timezone=UTC -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}"
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "options": options,
            "application_name": application,
            "connect_timeout": CONNECT_TIMEOUT_S,
        },
    )
