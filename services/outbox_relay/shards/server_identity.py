"""Check that an outbox's transaction numbers belong to this server."""

from __future__ import annotations

from services.outbox_relay.database.connection import Connection
from shared.errors import ConfigurationError

FOREIGN = """
-- outbox.origin.foreign: the outbox came from another server, or has numbers not yet reached by this one
SELECT EXISTS (SELECT FROM outbox_origin o, pg_control_system() c WHERE o.system_identifier <> c.system_identifier),
       EXISTS (SELECT FROM outbox_shard s
                WHERE pg_snapshot_xmax(coalesce(s.next_snap, s.snap)) > pg_snapshot_xmax(pg_current_snapshot())
                   OR EXISTS (SELECT FROM outbox_event e
                               WHERE e.shard = s.shard AND e.xid >= pg_snapshot_xmax(pg_current_snapshot())))
"""


def refuse_foreign_progress(connection: Connection) -> None:
    """Raise if the outbox's transaction numbers belong to another server.

    Raises
    ------
    ConfigurationError
        It came from another server, or its numbers lie beyond this one's.
    """
    row = connection.execute(FOREIGN).fetchone()
    assert row is not None
    elsewhere, beyond = row
    if elsewhere or beyond:
        what = "came from another server" if elsewhere else "has transaction numbers beyond this server's"
        raise ConfigurationError(
            f"the outbox {what}: it was restored from a dump; stop the writers and run `exitflow outbox rebase` "
            "(after pg_upgrade: `exitflow outbox rebase --adopt`)"
        )
