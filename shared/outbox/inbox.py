"""The consumer's inbox: ids of processed events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from shared.postgres.hot_path import Answer, ask, send

ACCEPT = text("""
-- inbox.accept
INSERT INTO inbox (consumer, event_id)
SELECT :consumer, id FROM unnest(CAST(:event_ids AS uuid[])) AS id ORDER BY id
ON CONFLICT (consumer, event_id) DO NOTHING
RETURNING event_id
""")
FORGET = text("""
-- inbox.forget
DELETE FROM inbox WHERE consumer = :consumer AND event_id = ANY (CAST(:event_ids AS uuid[]))
""")


def ask_accept(connection: Connection, consumer: str, event_ids: Sequence[UUID]) -> Answer[set[UUID]]:
    """Store the events' ids and ask for the events new to `consumer`, within the caller's transaction."""
    values = {"consumer": consumer, "event_ids": list(event_ids)}
    return ask(connection, ACCEPT, values, lambda rows: {event_id for (event_id,) in rows})


def forget(connection: Connection, consumer: str, event_ids: Collection[UUID]) -> None:
    """Take back ids stored by this transaction: their events were not processed after all."""
    if event_ids:
        send(connection, FORGET, {"consumer": consumer, "event_ids": sorted(event_ids)})
