"""The outbox of a place, as the measurements see it: filled, tidied, held back, watched for its WAL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.relay.candidate import Candidate
from bench.relay.place import Place

BACKLOG_TRANSACTIONS = 10
_BACKENDS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'exitflow-relay'
"""


def insert_backlog(candidate: Candidate, place: Place, numbers: range) -> None:
    """Insert events of these consecutive numbers, committed in ten transactions."""
    statement = candidate.range_insert().encode()
    step = -(-len(numbers) // BACKLOG_TRANSACTIONS)
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        for first in numbers[::step]:
            last = min(first + step, numbers.stop) - 1
            connection.execute(statement, {"first": first, "last": last, "topic": place.topic})


def settle(place: Place) -> None:
    """Make statistics for the planner, and hint bits on the new pages: a busy system would have both."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def wal_position(place: Place) -> int:
    """Return the bytes of WAL the server has written since it was made."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def relay_backends(connection: psycopg.Connection) -> list[int]:
    """Return PostgreSQL's processes serving this project's relay of the connection's database."""
    return [pid for (pid,) in connection.execute(_BACKENDS)]


@contextmanager
def old_transaction(place: Place, *, wanted: bool) -> Iterator[None]:
    """Hold, if wanted, a REPEATABLE READ transaction with a write, and thus the xmin horizon, while inside."""
    if not wanted:
        yield
        return
    with psycopg.connect(place.database_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("CREATE TABLE held_back (at timestamptz)")
        connection.execute("INSERT INTO held_back VALUES (now())")
        yield
        connection.rollback()
