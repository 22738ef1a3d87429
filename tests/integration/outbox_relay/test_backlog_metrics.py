"""The waiting events: all not on record as published, whoever may publish them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from services.outbox_relay.backlog_metrics import EVERY_S, measure, open_connection, rest_after
from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.process import outboxes_of
from shared.outbox.operations import SHARDS
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Writer

KEYS = [f"key-{n}" for n in range(50)]


@pytest.fixture
def connection(exit_relay: Settings) -> Iterator[Connection]:
    """A connection as surveys have it."""
    (source,) = outboxes_of(exit_relay)
    with closing(open_connection(source)) as opened:
        yield opened


def snapshot(connection: Connection) -> str:
    """The committed events now."""
    now, _ = connection.execute(statements.CURRENT_SNAPSHOT).fetchone() or ("", None)
    return str(now)


def shown_to_operators(writer: Writer) -> int:
    """The same as `exitflow outbox status` has it."""
    with writer.engine.connect() as engine:
        return sum(row.backlog for row in engine.execute(SHARDS))


def test_frozen_window_counts_its_rest_and_later_commits(writer: Writer, connection: Connection) -> None:
    before = snapshot(connection)
    with writer.long_transaction(*[f"late-{n}" for n in range(7)]):
        writer.write(*KEYS)
        end = snapshot(connection)
    frozen = "UPDATE outbox_shard SET snap = %s::pg_snapshot, next_snap = %s::pg_snapshot, pos = %s"

    connection.execute(frozen, (before, end, 0))
    assert measure(connection).backlog == shown_to_operators(writer) == len(KEYS) + 7

    # All of the window is published; the late ones have smaller ids and belong to the next one.
    connection.execute(frozen, (before, end, 1_000_000))
    assert measure(connection).backlog == shown_to_operators(writer) == 7


def test_a_transaction_that_was_at_work_counts_once_it_commits(writer: Writer, connection: Connection) -> None:
    with writer.long_transaction(*KEYS):
        during = snapshot(connection)
        connection.execute("UPDATE outbox_shard SET snap = %s::pg_snapshot", (during,))
        assert measure(connection).backlog == shown_to_operators(writer) == 0
    assert measure(connection).backlog == shown_to_operators(writer) == len(KEYS)


def test_shards_are_told_apart_by_who_holds_them(connection: Connection) -> None:
    connection.execute("UPDATE outbox_shard SET lease_until = clock_timestamp() + interval '1 h' WHERE shard < 10")
    connection.execute("UPDATE outbox_shard SET paused = true WHERE shard >= 40")
    found = measure(connection)
    assert (found.unheld, found.paused) == (30, 24)


def test_the_age_is_that_of_the_oldest(writer: Writer, connection: Connection) -> None:
    assert measure(connection).oldest_age_s == 0
    writer.write(*KEYS)
    first = measure(connection).oldest_age_s
    writer.write(*KEYS)
    assert measure(connection).oldest_age_s >= first > 0


def test_large_half_published_window_is_not_examined_further(writer: Writer, connection: Connection) -> None:
    before = snapshot(connection)
    for _ in range(5):
        writer.write(*["key"] * 300)
    frozen = "UPDATE outbox_shard SET snap = %s::pg_snapshot, next_snap = %s::pg_snapshot, pos = %s"
    connection.execute(frozen, (before, snapshot(connection), 1_000_000))
    found = measure(connection)
    assert (found.backlog, found.capped) == (0, 1)
    assert found.oldest_age_s > 0
    assert shown_to_operators(writer) == 0


def test_a_slow_survey_is_repeated_less_often() -> None:
    assert rest_after(0.01) == EVERY_S
    assert rest_after(4) == 80
