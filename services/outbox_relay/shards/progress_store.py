"""Writing down how far shards are published."""

from __future__ import annotations

from collections.abc import Collection

from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.shards.leases import owned, report_lost
from services.outbox_relay.shards.shard import HeldShard


class ProgressStore:
    """The progress of one outbox's shards in the database.

    Nothing of a window is written before some of it is acknowledged: until then a crash makes the next relay open a
    larger window in its place. That repeats events but keeps their order, because per key ids are in order of commit.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, shards: Collection[HeldShard]) -> None:
        """Write down how far these shards are published.

        Raises
        ------
        Fenced
            A shard was lost to another relay; the others are recorded.
        """
        if not shards:
            return
        progress = [s.progress for s in shards]
        parameters = {
            **owned(shards),
            "snaps": [p.snap for p in progress],
            "next_snaps": [p.next_snap for p in progress],
            "positions": [p.position for p in progress],
        }
        rows = self._connection.execute(statements.RECORD, parameters).fetchall()
        report_lost(shards, rows)
        for shard, reached in zip(shards, progress, strict=True):
            shard.is_recorded(reached)
