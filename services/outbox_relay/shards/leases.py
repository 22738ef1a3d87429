"""Leases: the shards this relay may publish, until when, and its fair share of them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection, write_durably
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.server_identity import refuse_foreign_progress
from services.outbox_relay.shards.shard import HeldShard
from shared.clock import Clock
from shared.errors import Fenced

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Census:
    """Current shards and relays."""

    relays: int
    shards: int
    paused: frozenset[int]

    def fair_share(self) -> int:
        """Return the shards per relay: their number divided by the relays, rounded up."""
        return -(-self.shards // max(1, self.relays))


class Leases:
    """The shards one relay holds of one outbox. Times are the database's, but for `runs_out_at`.

    Attributes
    ----------
    held:
        By number, in the order of reading.
    runs_out_at:
        When the oldest lease is over, on the monotonic clock, counted from before the database was asked.
    """

    def __init__(self, connection: Connection, clock: Clock, relay_id: UUID, lease_s: float) -> None:
        self._connection = connection
        self._clock = clock
        self._me: dict[str, Any] = {"me": relay_id, "lease_s": lease_s}
        self._lease_s = lease_s
        self._renewed_at = clock.monotonic()
        self.held: dict[int, HeldShard] = {}

    @property
    def runs_out_at(self) -> float:
        """Return the leases' end on the monotonic clock."""
        return self._renewed_at + self._lease_s

    def enlist(self) -> None:
        """Register the relay; release shards left from its previous run.

        Raises
        ------
        ConfigurationError
            The outbox's progress belongs to another server, as after a dump and restore.
        """
        refuse_foreign_progress(self._connection)
        write_durably(
            self._connection,
            (statements.RELINQUISH, self._me),
            (statements.FORGET_DEAD, self._me),
            (statements.ENLIST, self._me),
        )

    def census(self) -> Census:
        """Count the relays and the shards they share."""
        row = self._connection.execute(statements.CENSUS, self._me).fetchone()
        assert row is not None
        return Census(relays=row[0], shards=row[1], paused=frozenset(row[2]))

    def acquire(self, wanted: int) -> list[HeldShard]:
        """Acquire up to `wanted` free shards; their dead owners no longer count among the relays."""
        asked_at = self._clock.monotonic()
        rows = write_durably(
            self._connection, (statements.FORGET_DEAD, self._me), (statements.ACQUIRE, {**self._me, "wanted": wanted})
        )
        if rows and not self.held:
            self._renewed_at = asked_at
        taken = [HeldShard(shard, epoch, Progress(*progress)) for shard, epoch, *progress in rows]
        self.held = {s.shard: s for s in sorted([*self.held.values(), *taken], key=lambda s: s.shard)}
        return taken

    def is_renewal_due(self) -> bool:
        """Return True once a third of the lease is over."""
        return self._clock.monotonic() >= self._renewed_at + self._lease_s / 3

    def renew(self) -> None:
        """Renew all leases and this relay's registration.

        Commits asynchronously, since waiting for the disk would delay publishing. At worst a crashing server forgets
        the renewal, and this relay's session ends with the connection.

        Raises
        ------
        Fenced
            A shard was lost.
        """
        asked_at = self._clock.monotonic()
        shards = list(self.held.values())
        self._connection.execute(statements.ENLIST, self._me)
        rows = self._connection.execute(statements.RENEW, {**self._me, **owned(shards)}).fetchall()
        report_lost(shards, rows)
        self._renewed_at = asked_at

    def refuse_if_run_out(self) -> None:
        """Raise if the leases have expired; call before any action under a lease.

        Raises
        ------
        Fenced
            The lease ran out before it was renewed, e.g. because the process was stopped.
        """
        if self.held and self._clock.monotonic() >= self.runs_out_at:
            raise Fenced(f"the lease ran out {self._clock.monotonic() - self.runs_out_at:.1f} s ago")

    def release(self, shards: Collection[HeldShard]) -> None:
        """Release these shards immediately; ignore shards already lost."""
        if not shards:
            return
        write_durably(self._connection, (statements.RELEASE, owned(shards)))
        for shard in shards:
            del self.held[shard.shard]

    def retire(self) -> None:
        """Count no longer among the relays."""
        write_durably(self._connection, (statements.RETIRE, self._me))


def owned(shards: Collection[HeldShard]) -> dict[str, Any]:
    """Return the parameters fencing a statement over these shards."""
    return {"shards": [s.shard for s in shards], "epochs": [s.epoch for s in shards]}


def report_lost(shards: Collection[HeldShard], rows: Collection[tuple[Any, ...]]) -> None:
    """Compare the shards a fenced statement was for with those it returned.

    Raises
    ------
    Fenced
        Some are missing: another relay took them.
    """
    lost = sorted({s.shard for s in shards} - {row[0] for row in rows})
    if lost:
        raise Fenced(f"shards {lost} were taken over by another relay")
