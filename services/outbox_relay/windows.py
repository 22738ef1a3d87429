"""Snapshot windows: open them, read them, record how far they are published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import Any

from services.outbox_relay import statements
from services.outbox_relay.connection import Connection
from services.outbox_relay.leases import owned, report_lost
from services.outbox_relay.records import SHARD, Row, runs_of
from services.outbox_relay.shard import HeldShard
from shared.failpoints import Failpoint, failpoint

COUNTED = 1000


class Windows:
    """The windows of one outbox's shards. Raises `Fenced` wherever a shard turns out to be lost."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def current_snapshot(self) -> str:
        """What is committed now; equal to an earlier answer if nothing was committed since."""
        row = self._connection.execute(statements.CURRENT_SNAPSHOT).fetchone()
        assert row is not None
        return str(row[0])

    def open(self, idle: Collection[HeldShard], snapshot: str) -> list[HeldShard]:
        """Freeze a window up to `snapshot` for the shards that have rows in it, and return those.

        The others have seen `snapshot` too, which only memory knows until their lease is renewed: writing it
        down would be a transaction, hence a new snapshot, and idle would never come.
        """
        found = self._with_rows(idle, snapshot)
        if found:
            self._freeze(found, snapshot)
        for shard in idle:
            if shard.is_idle():
                shard.snap = snapshot
        return found

    def _with_rows(self, shards: Collection[HeldShard], snapshot: str) -> list[HeldShard]:
        parameters = {
            "shards": [s.shard for s in shards],
            "snaps": [s.snap for s in shards],
            "next_snap": snapshot,
        }
        found = {row[0] for row in self._connection.execute(statements.WITH_ROWS, parameters)}
        return [s for s in shards if s.shard in found]

    def _freeze(self, shards: Collection[HeldShard], snapshot: str) -> None:
        self._write(statements.FREEZE, shards, snaps=[s.snap for s in shards], next_snap=snapshot)
        for shard in shards:
            shard.froze(snapshot)
        failpoint(Failpoint.RELAY_AFTER_FREEZE)

    def read(self, shards: Sequence[HeldShard], limit: int, longest_run: int) -> int:
        """Read the next rows of these shards' windows, at most `limit`, give them to their shards and count them.

        The rows come shard by shard as given, in each by id. Shards that they go past, and all of them if there
        are fewer rows than `limit`, are read out.
        """
        parameters: dict[str, Any] = {
            "shards": [s.shard for s in shards],
            "snaps": [s.snap for s in shards],
            "nexts": [s.next_snap for s in shards],
            "positions": [s.read_to for s in shards],
            "limit": limit,
        }
        rows: list[Row] = self._connection.execute(statements.READ_WINDOWS, parameters, binary=True).fetchall()
        by_number = {s.shard: s for s in shards}
        for run in runs_of(rows, longest_run):
            by_number[run[0][SHARD]].read(run)
        unfinished = rows[-1][SHARD] if len(rows) == limit else None
        for shard in takewhile(lambda s: s.shard != unfinished, shards):
            shard.read_out = True
        return len(rows)

    def checkpoint(self, shards: Collection[HeldShard]) -> None:
        """Record how far these shards' windows are acknowledged."""
        positions = [s.acknowledgements.position for s in shards]
        self._write(statements.CHECKPOINT, shards, positions=positions)
        for shard, position in zip(shards, positions, strict=True):
            shard.checkpoint = position

    def complete(self, shards: Collection[HeldShard]) -> None:
        """Record that these shards' windows are published."""
        self._write(statements.COMPLETE, shards)
        for shard in shards:
            shard.completed()

    def measure(self, shards: Collection[HeldShard]) -> tuple[int, float]:
        """Events not known to be published, counted up to `COUNTED` a shard, and the oldest's age in seconds."""
        parameters = {
            "shards": [s.shard for s in shards],
            "snaps": [s.snap for s in shards],
            "positions": [s.acknowledgements.position for s in shards],
            "limit": COUNTED,
        }
        row = self._connection.execute(statements.MEASURE, parameters).fetchone()
        assert row is not None
        return int(row[0]), float(row[1])

    def _write(self, statement: str, shards: Collection[HeldShard], **parameters: Any) -> None:
        rows = self._connection.execute(statement, {**owned(shards), **parameters}).fetchall()
        report_lost(shards, rows)
