"""The statements against the real database: which rows a window has, and how it finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from services.outbox_relay import statements
from services.outbox_relay.connection import Connection, connect
from services.outbox_relay.records import ID, SHARD
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


def windows(snaps: list[str], next_snap: str) -> dict[str, Any]:
    """The parameters of one window for each of the 64 shards."""
    return {
        "shards": list(range(64)),
        "snaps": snaps,
        "nexts": [next_snap] * 64,
        "positions": [0] * 64,
        "limit": 100_000,
    }


def plan(connection: Connection, statement: str, parameters: dict[str, Any]) -> str:
    """What EXPLAIN says."""
    return "\n".join(row[0] for row in connection.execute("EXPLAIN " + statement, parameters))


def test_shards_at_different_snapshots_are_read_together_without_loss_or_repetition(
    writer: Writer, connection: Connection
) -> None:
    keys = [f"key-{n}" for n in range(200)]
    writer.write(*keys)
    before = snapshot(connection)
    with writer.long_transaction(*keys):
        writer.write(*[f"other-{n}" for n in range(200)])
        during = snapshot(connection)
    after = snapshot(connection)
    snaps = [before, during] * 32

    rows = connection.execute(statements.READ_WINDOWS, windows(snaps, after)).fetchall()

    expected = connection.execute(
        "SELECT shard, id FROM outbox_event e"
        " WHERE NOT pg_visible_in_snapshot(xid, (%s::pg_snapshot[])[shard + 1]) ORDER BY shard, id",
        (snaps,),
    ).fetchall()
    assert [(row[SHARD], row[ID]) for row in rows] == expected
    assert len(expected) > 200
    found = connection.execute(statements.WITH_ROWS, windows(snaps, after) | {"next_snap": after}).fetchall()
    assert {row[0] for row in found} == {shard for shard, _ in expected}
    measured = connection.execute(statements.MEASURE, windows(snaps, after)).fetchone()
    assert measured is not None
    assert measured[0] == len(expected)


@pytest.mark.parametrize("statement", [statements.READ_WINDOWS, statements.WITH_ROWS, statements.MEASURE])
def test_windows_are_found_by_the_index_on_shard_and_xid(connection: Connection, statement: str) -> None:
    now = snapshot(connection)
    found = plan(connection, statement, windows([now] * 64, now) | {"next_snap": now})
    assert "Seq Scan" not in found
    scans = [line for line in found.splitlines() if "Index Cond" in line]
    assert scans
    assert all("shard = held.shard" in line and "xid" in line for line in scans), found


def test_what_depends_on_a_shards_snapshot_is_not_computed_once_for_all(connection: Connection) -> None:
    now = snapshot(connection)
    assert "InitPlan" not in plan(connection, statements.READ_WINDOWS, windows([now] * 64, now))
