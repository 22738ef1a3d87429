"""Partitions of an outbox: retention, and the functions to create, close and drop them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row

from services.outbox_relay.database.connection import Connection

TRY_LOCK = """
-- outbox.partitions.try_lock: one relay at a time, until it disconnects
SELECT pg_try_advisory_lock(hashtextextended('outbox partitions ' || current_schema(), 0))
"""

CATALOGUE = """
-- outbox.partitions.catalogue: the kept partitions; over: its time is past; old: past the time of keeping
SELECT name, state, from_at, until_at, events, bytes, largest_xid::text, held_by,
       coalesce(until_at <= clock_timestamp(), false) AS over,
       coalesce(until_at <= clock_timestamp() - make_interval(days => nullif(%(retention_days)s::int, 0)), false) AS old
  FROM outbox_partition
 ORDER BY from_at NULLS LAST, name
"""

MISSING_DAYS = """
-- outbox.partitions.missing_days: today and the days ahead (UTC) without a partition
SELECT day::date FROM generate_series(current_date, current_date + %(ahead)s::int, interval '1 day') AS day
 WHERE to_regclass('outbox_event_' || to_char(day, 'YYYYMMDD')) IS NULL
"""

PAUSED = """
-- outbox.partitions.paused: shards paused by an operator
SELECT shard FROM outbox_shard WHERE paused ORDER BY shard
"""

MAKE = "SELECT outbox_make_partition(%(day)s)"
CLOSE = "SELECT outbox_close_partition(%(name)s)"
DROP = "SELECT outbox_drop_partition(%(name)s, %(retention_days)s)"
EMPTY_DEFAULT = "SELECT outbox_empty_default(%(retention_days)s)"


@dataclass(frozen=True)
class Partition:
    """A partition as the catalogue has it.

    Attributes
    ----------
    state:
        ``live``: written and read; ``closed``: published and archived; ``default``: rows without another partition.
    events:
        An estimate.
    held_by:
        Shards not known to have published all of it.
    over, old:
        Whether its day is over, and whether it has been for longer than events are kept.
    """

    name: str
    state: str
    from_at: datetime | None
    until_at: datetime | None
    events: int
    bytes: int
    largest_xid: str | None
    held_by: Sequence[int]
    over: bool
    old: bool


class Partitions:
    """Partitions of the outbox in the connection's schema. Each function's comment documents its result.

    Parameters
    ----------
    connection:
        In autocommit, with time zone UTC.
    retention_days:
        How long closed partitions are kept; 0 for ever.
    """

    def __init__(self, connection: Connection, retention_days: int) -> None:
        self._connection = connection
        self.retention_days = retention_days

    def try_lock(self) -> bool:
        """Become the one who looks after them, until the connection is closed; False if somebody else is."""
        return bool(self._value(TRY_LOCK))

    def catalogue(self) -> list[Partition]:
        """Return all partitions, oldest first, the default one last."""
        with self._connection.cursor(row_factory=class_row(Partition)) as cursor:
            return cursor.execute(CATALOGUE, {"retention_days": self.retention_days}).fetchall()

    def paused_shards(self) -> list[int]:
        """Return shards paused by an operator; their unpublished events stay."""
        return [shard for (shard,) in self._connection.execute(PAUSED)]

    def missing_days(self, ahead: int) -> list[date]:
        """Return today and the `ahead` days after it (UTC) without a partition."""
        return [day for (day,) in self._connection.execute(MISSING_DAYS, {"ahead": ahead})]

    def make(self, day: date) -> str:
        """Make the partition of a day."""
        return str(self._value(MAKE, day=day))

    def close(self, name: str) -> str:
        """Archive a live one if it is over and published."""
        return str(self._value(CLOSE, name=name))

    def drop(self, name: str) -> str:
        """Drop a closed one if it is old."""
        return str(self._value(DROP, name=name, retention_days=self.retention_days))

    def empty_default(self) -> str:
        """Truncate the default one if all it holds is published and old."""
        return str(self._value(EMPTY_DEFAULT, retention_days=self.retention_days))

    def _value(self, statement: str, **parameters: Any) -> Any:
        row = self._connection.execute(statement, parameters).fetchone()
        assert row is not None
        return row[0]
