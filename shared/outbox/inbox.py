"""The consumer's inbox: ids of processed events."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from shared.postgres.hot_path import fetch

ACCEPT = text("""
-- inbox.accept
INSERT INTO inbox (consumer, event_id)
SELECT :consumer, id FROM unnest(CAST(:event_ids AS uuid[])) AS id ORDER BY id
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING event_id
""")


def accept(connection: Connection, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Store the events' ids and return the events new to `consumer`, within the caller's transaction."""
    if not event_ids:
        return set()
    rows = fetch(connection, ACCEPT, {"consumer": consumer, "event_ids": list(event_ids)})
    return {event_id for (event_id,) in rows}
