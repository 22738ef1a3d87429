"""An outbox with a movable clock: partitions of days gone by, events of any date, progress as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.retention.partitions import Partitions
from tests.support.servers import Database
from tests.support.waiting import wait_until

SCHEMA = "exit_qualification"
RETENTION_DAYS = 7

INSERT: LiteralString = """
INSERT INTO outbox_event (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent,
                          payload, created_at)
VALUES (gen_random_uuid(), %(shard)s, 'topic', 'key', 1, 'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01',
        '', coalesce(%(at)s, clock_timestamp()))
"""


@dataclass(frozen=True)
class Rig:
    """The outbox of schema exit_qualification as a service, the relay and the migrator reach it, in autocommit."""

    writer: Connection
    relay: Connection
    migrator: Connection

    def partitions(self, retention_days: int = RETENTION_DAYS) -> Partitions:
        """As the relay sees them."""
        return Partitions(self.relay, retention_days)

    def today(self) -> date:
        """By the database's clock, UTC."""
        return one(self.relay, "SELECT current_date")

    def days_ago(self, days: int) -> datetime:
        """An instant of an earlier day."""
        return one(self.relay, f"SELECT clock_timestamp() - interval '{days} days'")

    def now(self) -> datetime:
        """The database's clock; asked on a connection without use by other threads of a test."""
        return one(self.writer, "SELECT clock_timestamp()")

    def partition_of(self, at: datetime) -> str:
        """Make the partition of this instant's day, as it was made when the day was to come; its name."""
        day = at.date()
        name = f"outbox_event_{day:%Y%m%d}"
        self.partition_between(name, day, day + timedelta(days=1))
        return name

    def partition_between(self, name: str, from_at: date, until_at: date) -> None:
        """Make a partition for any time."""
        self.migrator.execute(
            f"CREATE TABLE {name} (LIKE outbox_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS,"
            f" CHECK (created_at >= '{from_at}' AND created_at < '{until_at}'))"
        )
        self.migrator.execute(
            f"ALTER TABLE outbox_event ATTACH PARTITION {name} FOR VALUES FROM ('{from_at}') TO ('{until_at}')"
        )

    def write(self, at: datetime | None = None, shard: int = 0) -> None:
        """An event of this date, now by default, committed unless a transaction is open."""
        self.writer.execute(INSERT, {"at": at, "shard": shard})

    def publish_all(self, *, beside_others: bool = False) -> None:
        """Let every shard not paused have published all committed events.

        Unless `beside_others`, return once all earlier transactions are over, autovacuum's as well.
        """
        self.relay.execute("UPDATE outbox_shard SET snap = pg_current_snapshot() WHERE NOT paused")
        if not beside_others:
            now = one(self.relay, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
            wait_until(lambda: int(one(self.relay, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text")) >= int(now))

    def places(self) -> dict[str, int]:
        """How many events lie in each partition with any."""
        found = self.writer.execute(
            "SELECT tableoid::regclass::text, count(*) FROM outbox_event GROUP BY 1"
            " UNION ALL SELECT tableoid::regclass::text, count(*) FROM outbox_archive GROUP BY 1"
        )
        return {str(name): int(count) for name, count in found}


def one(connection: Connection, query: LiteralString) -> Any:
    """The one value of a query."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def rig(database: Database) -> Iterator[Rig]:
    """An outbox with its default partition alone."""
    options = f"-c search_path={SCHEMA} -c timezone=UTC"
    with ExitStack() as stack:
        urls = (database.exit_url, database.relay_exit_url, database.migrator_url)
        rig = Rig(*(stack.enter_context(psycopg.connect(url, options=options, autocommit=True)) for url in urls))
        # On a busy machine a lock held for a moment lasts longer than the product waits for it.
        rig.migrator.execute("ALTER FUNCTION outbox_close_partition SET lock_timeout = '2s'")
        yield rig
