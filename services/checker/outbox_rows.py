"""Events to publish according to the outboxes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

ROWS = text("""
-- invariants.outbox_rows
SELECT event_id::text AS event_id, topic, key, sequence, sha256(payload) AS payload_hash FROM outbox_history
""")
KEPT_FROM = text("""
-- invariants.outbox_kept_from: of topics with fewer rows than the sequences count, the start of the oldest day without
-- rows in DEFAULT; nothing is ever dropped on the day it was written
SELECT topic,
       least((SELECT min(from_at) FROM outbox_partition_range), clock_timestamp() - interval '1 day') AS kept_from
  FROM (SELECT topic, sum(last) AS written FROM outbox_sequence GROUP BY topic) counted
  LEFT JOIN (SELECT topic, count(*) AS kept FROM outbox_history GROUP BY topic) found USING (topic)
 WHERE written > coalesce(kept, 0)
""")
PARKED = text("""
-- invariants.outbox_parked: events waiting for an operator, and those given up by an operator
SELECT event_id::text AS event_id, ce_type AS event_type, ce_subject AS subject, false AS over FROM outbox_parked
 UNION ALL
SELECT event_id::text, event_type, subject, true FROM outbox_discarded
""")


@dataclass(frozen=True)
class OutboxRow:
    """A row of an outbox; its topic as the cluster names it."""

    event_id: str
    topic: str
    key: str
    sequence: int
    payload_hash: bytes


@dataclass(frozen=True)
class ParkedRow:
    """An unpublished event: parked, or discarded if `over`."""

    event_id: str
    event_type: str | None
    subject: str | None
    over: bool


def read_kept_from(connection: Connection) -> dict[str, datetime]:
    """Return the time since when the outbox keeps every row, by topic; omit complete topics."""
    return {row.topic: row.kept_from for row in connection.execute(KEPT_FROM)}


def read_parked(connection: Connection) -> list[ParkedRow]:
    """Read every parked and every discarded event of the schema."""
    return [ParkedRow(**row._mapping) for row in connection.execute(PARKED)]


def read_outbox(connection: Connection) -> list[OutboxRow]:
    """Read every row of the schema's outbox, including closed partitions."""
    return [
        OutboxRow(row.event_id, row.topic, row.key, row.sequence, bytes(row.payload_hash))
        for row in connection.execute(ROWS)
    ]
