"""The relay's connection to a database: one per outbox, in autocommit, set up for its few statements."""

from __future__ import annotations

from typing import Any

import psycopg

from shared.postgres.connection_limits import KEEPALIVES, ConnectionLimits, LimitedConnection
from shared.postgres.engine import startup_options
from shared.postgres.poolers import check_session, explain_pooler

Connection = psycopg.Connection[tuple[Any, ...]]

PUBLISHING = ConnectionLimits(lock_ms=5_000, statement_ms=60_000, answer_s=10)
"""Rows of a backlog are streamed, for a minute at most, without a wait for an answer. Other statements are short."""

UPKEEP = ConnectionLimits(lock_ms=5_000, statement_ms=60_000, answer_s=65)
"""Limit of statements over a whole partition."""

SURVEYS = ConnectionLimits(lock_ms=5_000, statement_ms=8_000, answer_s=10)
"""Limit of statements over a bounded number of rows."""

UPKEEP_LIMIT_S = 90.0
"""A thread with such statements and no progress for so long hangs."""

_OPTIONS = {
    "timezone": "UTC",
    # Statistics lag behind an append-only table; the index on (shard, xid) is right at every size.
    "enable_seqscan": "off",
    # Shards are read in the order of a nested loop; workers would mix it.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # A few statements are repeated, with arrays as long as the shards held: a plan made once stays right.
    "plan_cache_mode": "force_generic_plan",
    # A shard's window is sorted by id; a backlog of some 50,000 events a shard without a temporary file.
    "work_mem": "32MB",
    # A crash of the server loses a freeze only together with the checkpoints after it: redelivery. Leases
    # ask for more where they are written.
    "synchronous_commit": "off",
}


def connect(url: str, schema: str, limits: ConnectionLimits = PUBLISHING) -> Connection:
    """Return a connection to `schema` alone.

    Raises
    ------
    psycopg.OperationalError
        The database does not answer.
    ConfigurationError
        The URL leads to a pooler; it does not keep the settings of a session.
    """
    with explain_pooler():
        connection = LimitedConnection.open(
            limits.answer_s,
            url,
            options=startup_options({"search_path": schema, **_OPTIONS, **limits.server_settings()}),
            application_name="relay",
            connect_timeout=limits.connect_s,
            **KEEPALIVES,
            autocommit=True,
        )
    row = connection.execute("SELECT current_setting('search_path')").fetchone()
    check_session(str(row and row[0]), schema)
    connection.prepare_threshold = 0
    return connection


def write_durably(connection: Connection, *statements: tuple[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Run the statements in one transaction, durable on return; return the last one's rows."""
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        for statement, parameters in statements:
            cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
