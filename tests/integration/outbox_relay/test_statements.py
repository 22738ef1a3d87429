"""The statements against the real database: which rows a window has, and how it finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from psycopg import RawCursor, errors

from services.outbox_relay import statements
from services.outbox_relay.connection import Connection, connect
from services.outbox_relay.records import ID, SHARD, Row
from services.outbox_relay.row_stream import RowStream, array
from services.outbox_relay.survey import BACKLOG_OF_ALL, survey
from shared.settings import Settings
from tests.integration.outbox_relay.written import Writer


@pytest.fixture
def connection(exit_relay: Settings) -> Iterator[Connection]:
    """A connection as the relay has it."""
    with closing(connect(exit_relay.require_exit_database(), "exit_qualification")) as opened:
        yield opened


def snapshot(connection: Connection) -> str:
    """What is committed now."""
    row = connection.execute(statements.CURRENT_SNAPSHOT).fetchone()
    assert row is not None
    return str(row[0])


def read(connection: Connection, snaps: list[str], next_snap: str, rows_per_chunk: int = 250) -> list[Row]:
    """The rows of one window for each of the 64 shards."""
    stream = RowStream(connection, statements.READ_WINDOWS, rows_per_chunk)
    stream.start(array(range(64)), array(snaps), array([next_snap] * 64), array([0] * 64), "100000")
    rows: list[Row] = []
    while stream.is_open:
        rows += stream.take(1)
    return rows


def plan(connection: Connection, statement: str, parameters: Any) -> str:
    """What EXPLAIN says."""
    cursor = RawCursor(connection) if isinstance(parameters, list) else connection.cursor()
    return "\n".join(row[0] for row in cursor.execute("EXPLAIN " + statement, parameters))


def plans(connection: Connection) -> dict[str, str]:
    """The plans of the statements that look for rows."""
    now = [snapshot(connection)] * 64
    every_shard: list[Any] = [list(range(64)), now, now, [0] * 64, 1000]
    return {
        "read_windows": plan(connection, statements.READ_WINDOWS, every_shard),
        "survey": plan(connection, BACKLOG_OF_ALL, {"limit": 1000}),
    }


@pytest.mark.parametrize("rows_per_chunk", [1, 7, 250])
def test_shards_at_different_snapshots_are_read_together_without_loss_or_repetition(
    writer: Writer, connection: Connection, rows_per_chunk: int
) -> None:
    keys = [f"key-{n}" for n in range(200)]
    writer.write(*keys)
    before = snapshot(connection)
    with writer.long_transaction(*keys):
        writer.write(*[f"other-{n}" for n in range(200)])
        during = snapshot(connection)
    after = snapshot(connection)
    snaps = [before, during] * 32

    rows = read(connection, snaps, after, rows_per_chunk)

    expected = connection.execute(
        "SELECT shard, id FROM outbox_event e"
        " WHERE NOT pg_visible_in_snapshot(xid, (%s::pg_snapshot[])[shard + 1]) ORDER BY shard, id",
        (snaps,),
    ).fetchall()
    assert [(row[SHARD], row[ID]) for row in rows] == expected
    assert len(expected) > 200
    connection.execute("UPDATE outbox_shard SET snap = (%s::pg_snapshot[])[shard + 1]", (snaps,))
    assert survey(connection).backlog == len(expected)


@pytest.mark.parametrize("statement", ["read_windows", "survey"])
def test_windows_are_found_by_the_index_on_shard_and_xid(connection: Connection, statement: str) -> None:
    found = plans(connection)[statement]
    assert "Seq Scan on outbox_event" not in found
    scans = [line for line in found.splitlines() if "Index Cond" in line]
    assert scans
    assert all("(shard = " in line and "xid" in line for line in scans), found


def test_what_depends_on_a_shards_snapshot_is_not_computed_once_for_all(connection: Connection) -> None:
    assert "InitPlan" not in plans(connection)["read_windows"]


def test_rows_are_not_waited_for_longer_than_told(connection: Connection) -> None:
    stream = RowStream(connection, "SELECT pg_sleep($1::float8)", 10)
    stream.start("0.2")
    assert stream.take(0.001) == ()
    assert stream.is_open
    while stream.is_open:
        stream.take(1)


def test_a_statement_that_fails_raises_what_psycopg_would(connection: Connection) -> None:
    stream = RowStream(connection, "SELECT 1 / $1::int", 10)
    stream.start("0")
    with pytest.raises(errors.DivisionByZero):
        stream.take(1)
