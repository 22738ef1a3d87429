"""The relay's connection to a database: one per outbox, in autocommit, set up for its few statements."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import conninfo

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 5

_OPTIONS = {
    "timezone": "UTC",
    # Statistics lag behind an append-only table; the index on (shard, xid) is right at every size.
    "enable_seqscan": "off",
    # The order in which shards are read is that of a nested loop; workers would mix it.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # A few statements over and over, with arrays as long as the shards held: what is planned once stays right.
    "plan_cache_mode": "force_generic_plan",
    # A shard's window is sorted by id; a backlog of some 50,000 events a shard without a temporary file.
    "work_mem": "32MB",
    # A crash of the server loses a freeze only together with the checkpoints after it, which redelivers; leases
    # ask for more where they are written.
    "synchronous_commit": "off",
    "lock_timeout": "5s",
    "statement_timeout": "60s",
}


def connect(url: str, schema: str) -> Connection:
    """A connection that sees `schema` only.

    Raises
    ------
    psycopg.OperationalError
        The database does not answer.
    """
    options = " ".join(f"-c {name}={value}" for name, value in {"search_path": schema, **_OPTIONS}.items())
    connection: Connection = psycopg.connect(
        conninfo.make_conninfo(
            url,
            options=options,
            application_name="exitflow-relay",
            connect_timeout=CONNECT_TIMEOUT_S,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=15_000,
        ),
        autocommit=True,
    )
    connection.prepare_threshold = 0
    return connection


def write_durably(connection: Connection, *statements: tuple[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Run the statements in one transaction that is on disk before this returns; the rows of the last one."""
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        for statement, parameters in statements:
            cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
