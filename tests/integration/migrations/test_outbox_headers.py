"""Headers written as a document become columns, and a document again on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.exc import DBAPIError

from shared.postgres.migrations import current_revision, migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from tests.support.servers import Database
from tests.support.waiting import wait_until

Connection = psycopg.Connection[tuple[Any, ...]]

BEFORE = {EXIT_QUALIFICATION: "V013", TRADE_MANAGEMENT: "V004"}
HEADERS = ("io.exitflow.Happened.v1", "/tests", "s\u00fcbject", "2026-01-13T00:00:00Z", "00-a-b-01")
DOCUMENT = dict(zip(("ce_type", "ce_source", "ce_subject", "ce_time", "traceparent"), HEADERS, strict=True))

WRITE = """
INSERT INTO outbox_event (event_id, shard, topic, key, sequence, headers, payload, created_at)
VALUES (gen_random_uuid(), 3, 'topic', 'key', %s, %s, 'payload', current_date - %s)
"""
PARK = """
INSERT INTO outbox_parked (event_id, shard, id, topic, key, sequence, headers, payload, reason)
SELECT event_id, shard, id, topic, key, sequence, headers, payload, 'too large' FROM outbox_event
"""
PARTITION: LiteralString = """
DO $$ BEGIN
  CREATE TABLE {name} (LIKE outbox_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
  EXECUTE format('ALTER TABLE outbox_event ATTACH PARTITION {name} FOR VALUES FROM (%L) TO (%L)',
                 current_date - {days}, current_date - {days} + 1);
END $$
"""
UNCHANGED = "SELECT sequence, xid::text, id, event_id, payload FROM outbox_history ORDER BY sequence"
COLUMNS = "SELECT ce_type, ce_source, ce_subject, ce_time, traceparent FROM {}"
OF_ANOTHER_SERVER = "UPDATE outbox_origin SET system_identifier = 1"
OF_LATER = "UPDATE outbox_shard SET snap = '4000000000:4000000000:'"


@contextmanager
def migrator_of(database: Database, history: str) -> Iterator[Connection]:
    """A connection to a schema as its owner, in autocommit."""
    options = f"-c search_path={history} -c timezone=UTC"
    with closing(psycopg.connect(database.migrator_url, autocommit=True, options=options)) as connection:
        yield connection


def write(connection: Connection, sequence: int, days_ago: int = 0, document: dict[str, str] = DOCUMENT) -> None:
    """An event as code of before writes it, in a transaction of its own."""
    connection.execute(WRITE, (sequence, Jsonb(document), days_ago))


def close(connection: Connection, name: str) -> None:
    """Have all published, and a partition moved to the archive."""
    connection.execute("UPDATE outbox_shard SET snap = pg_current_snapshot()")
    wait_until(lambda: connection.execute("SELECT outbox_close_partition(%s)", (name,)).fetchone() == ("closed",))


def column(connection: Connection, query: LiteralString) -> list[Any]:
    """The only column of the rows."""
    return [value for (value,) in connection.execute(query)]


@pytest.mark.parametrize("history", BEFORE)
def test_migration_keeps_headers_of_old_events_and_moves_partitions_on(history: str, empty_database: Database) -> None:
    url = empty_database.migrator_url
    migrate(url, history, BEFORE[history])
    with migrator_of(empty_database, history) as connection:
        for name, days in (("outbox_event_closed", 9), ("outbox_event_live", 5)):
            connection.execute(PARTITION.format(name=name, days=days))
            write(connection, sequence=days, days_ago=days)
        close(connection, "outbox_event_closed")
        write(connection, sequence=1)
        connection.execute(PARK)
        before = connection.execute(UNCHANGED).fetchall()

        migrate(url, history)
        assert connection.execute(UNCHANGED).fetchall() == before
        assert connection.execute(COLUMNS.format("outbox_history")).fetchall() == [HEADERS] * 3
        assert connection.execute(COLUMNS.format("outbox_parked")).fetchall() == [HEADERS] * 2
        assert column(connection, "SELECT outbox_make_partition(current_date + 1)") == ["made"]
        close(connection, "outbox_event_live")

        migrate(url, history, BEFORE[history])
        assert connection.execute(UNCHANGED).fetchall() == before
        assert column(connection, "SELECT headers FROM outbox_history") == [DOCUMENT] * 3
        assert column(connection, "SELECT headers FROM outbox_parked") == [DOCUMENT] * 2
        assert column(connection, "SELECT outbox_make_partition(current_date + 2)") == ["made"]


@pytest.mark.parametrize(
    ("others", "then", "message"),
    [
        pytest.param({"tenant": "a"}, "SELECT 1", "headers that would be lost", id="a header without a column"),
        pytest.param({}, OF_ANOTHER_SERVER, "rebase first", id="events written after a restore without a rebase"),
        pytest.param({}, OF_LATER, "rebase first", id="events written where numbers have not come so far yet"),
    ],
)
def test_it_refuses_what_it_would_lose(
    others: dict[str, str], then: LiteralString, message: str, empty_database: Database
) -> None:
    history = TRADE_MANAGEMENT
    migrate(empty_database.migrator_url, history, BEFORE[history])
    with migrator_of(empty_database, history) as connection:
        write(connection, 1, document=DOCUMENT | others)
        connection.execute(then)
        with pytest.raises(DBAPIError, match=message):
            migrate(empty_database.migrator_url, history)
        assert current_revision(empty_database.migrator_url, history) == BEFORE[history]
