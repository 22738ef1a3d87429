"""Writing down how far shards are published."""

from __future__ import annotations

from collections.abc import Collection

from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.shards.leases import owned, report_lost
from services.outbox_relay.shards.shard import HeldShard


class ProgressStore:
    """Stored progress of one outbox's shards.

    Nothing is stored for a window before its first acknowledgement: after a crash the next relay then opens a larger
    window instead. Events repeat but keep their order, because ids of a key follow commit order.
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
