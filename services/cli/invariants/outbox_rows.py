"""What the outboxes say was to be published."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

ROWS = text("""
-- invariants.outbox_rows
SELECT event_id::text AS event_id, topic, key, sequence, sha256(payload) AS payload_hash FROM outbox_history
""")


@dataclass(frozen=True)
class OutboxRow:
    """A row of an outbox; its topic as the cluster names it."""

    event_id: str
    topic: str
    key: str
    sequence: int
    payload_hash: bytes


def read_outbox(connection: Connection) -> list[OutboxRow]:
    """Every row that the schema's outbox keeps, of closed partitions too."""
    return [
        OutboxRow(row.event_id, row.topic, row.key, row.sequence, bytes(row.payload_hash))
        for row in connection.execute(ROWS)
    ]
