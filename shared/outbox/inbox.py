"""The read side's memory: which events a consumer has already acted upon."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

ACCEPT = text("""
-- inbox.accept
INSERT INTO inbox (consumer, event_id)
SELECT :consumer, id FROM unnest(CAST(:event_ids AS uuid[])) AS id ORDER BY id
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING event_id
""")


def accept(connection: Connection, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Remember the events and return those that `consumer` had not seen; part of the caller's transaction."""
    if not event_ids:
        return set()
    rows = connection.execute(ACCEPT, {"consumer": consumer, "event_ids": list(event_ids)})
    return set(rows.scalars())
