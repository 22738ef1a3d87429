"""The statements against the real database: the rows of a window, and how they are found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg import errors

from services.outbox_relay.backlog_metrics import measure
from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.reading.row_stream import RowStream, array
from services.outbox_relay.records import ID, SHARD, Row
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Writer


@pytest.fixture
def connection(exit_relay: Settings) -> Iterator[Connection]:
    """A connection as the relay has it."""
    with closing(connect(exit_relay.require_exit_database(), "exit_qualification")) as opened:
        yield opened


def snapshot(connection: Connection) -> str:
    """The committed events now."""
    row = connection.execute(statements.CURRENT_SNAPSHOT).fetchone()
    assert row is not None
    return str(row[0])


def read(stream: RowStream, groups: list[list[int]], snaps: list[str], next_snap: str) -> list[Row]:
    """The rows of one window for each group of shards, each from its snapshot."""
    shards = ["{" + ",".join(map(str, group)) + "}" for group in groups]
    stream.start(array(shards), array(snaps), array([next_snap] * len(groups)), array([0] * len(groups)), "100000")
    rows: list[Row] = []
    while stream.is_open:
        rows += stream.take(1)
    return rows


@pytest.mark.parametrize("rows_per_chunk", [1, 7, 250])
def test_joint_read_of_differing_snapshots_loses_and_repeats_nothing(
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

    stream = RowStream(connection, statements.READ_WINDOWS, rows_per_chunk)
    rows = read(stream, [[n] for n in range(64)], snaps, after)

    expected = connection.execute(
        "SELECT shard, id FROM outbox_event e"
        " WHERE NOT pg_visible_in_snapshot(xid, (%s::pg_snapshot[])[shard + 1]) ORDER BY shard, id",
        (snaps,),
    ).fetchall()
    assert [(row[SHARD], row[ID]) for row in rows] == expected
    assert len(expected) > 200
    connection.execute("UPDATE outbox_shard SET snap = (%s::pg_snapshot[])[shard + 1]", (snaps,))
    assert measure(connection).backlog == len(expected)


def test_joint_lookup_of_equally_placed_shards_gives_same_result(writer: Writer, connection: Connection) -> None:
    before = snapshot(connection)
    with writer.long_transaction(*[f"key-{n}" for n in range(200)]):
        during = snapshot(connection)
        writer.write(*[f"other-{n}" for n in range(200)])
    after = snapshot(connection)
    every_shard = list(range(64))
    stream = RowStream(connection, statements.READ_WINDOWS, 250)
    for snap in (before, during):
        one_by_one = read(stream, [[n] for n in every_shard], [snap] * 64, after)
        together = read(stream, [every_shard], [snap], after)
        assert [row[:-1] for row in together] == [row[:-1] for row in one_by_one]
        assert len(together) == 400


def test_news_are_the_window_up_to_now_with_its_end(writer: Writer, connection: Connection) -> None:
    before = snapshot(connection)
    with writer.long_transaction(*[f"key-{n}" for n in range(200)]):
        during = snapshot(connection)
        writer.write(*[f"other-{n}" for n in range(200)])
        windows = RowStream(connection, statements.READ_WINDOWS, 250)
        news = RowStream(connection, statements.READ_NEWS, 250, "news")
        assert_news(connection, windows, news, before, 200)
    for snap in (before, during):
        assert_news(connection, windows, news, snap, 400)
    now = snapshot(connection)
    assert_news(connection, windows, news, now, 0)


def assert_news(connection: Connection, windows: RowStream, news: RowStream, snap: str, count: int) -> None:
    """Check that news since a snapshot are the rows of the window that ends now."""
    every_shard = list(range(64))
    end = snapshot(connection)
    expected = read(windows, [every_shard], [snap], end)
    news.start(array(every_shard).replace('"', ""), snap, "100000")
    rows: list[Row] = []
    while news.is_open:
        rows += news.take(1)
    assert rows == [(*row, end) for row in expected]
    assert len(rows) == count


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
