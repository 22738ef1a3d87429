"""ShardHolder: take a fair share of the shards, renew their leases, and give them up once nothing is under way."""

from __future__ import annotations

from collections.abc import Collection

from services.outbox_relay.metrics import RelayMetrics
from services.outbox_relay.parking.quarantine import Quarantine
from services.outbox_relay.parking.replays import Replays
from services.outbox_relay.shards.leases import Census, Leases
from services.outbox_relay.shards.progress_store import ProgressStore
from services.outbox_relay.shards.shard import HeldShard
from shared.runtime.failpoints import Failpoint, failpoint


class ShardHolder:
    """The shards of one session, and their stored progress."""

    def __init__(
        self,
        leases: Leases,
        progress_store: ProgressStore,
        quarantine: Quarantine,
        replays: Replays,
        metrics: RelayMetrics,
    ) -> None:
        self._leases = leases
        self._progress_store = progress_store
        self._quarantine = quarantine
        self._replays = replays
        self._metrics = metrics

    @property
    def held(self) -> dict[int, HeldShard]:
        """Return the shards by number, in the order of reading."""
        return self._leases.held

    def all(self) -> list[HeldShard]:
        """Return the shards, in the order of reading."""
        return list(self._leases.held.values())

    def begin(self) -> None:
        """Register the relay.

        Raises
        ------
        ConfigurationError
            The outbox's progress belongs to another server.
        """
        self._leases.enlist()

    def refuse_if_run_out(self) -> None:
        """Raise Fenced if the leases have expired; call before any action under a lease."""
        self._leases.refuse_if_run_out()

    def tend(self) -> None:
        """Release shards that may go, take free ones, and renew leases.

        Raises
        ------
        Fenced
            A shard was lost to another relay.
        """
        census = self._leases.census()
        self._leave_surplus(census)
        self._release([shard for shard in self.all() if shard.may_go() and not self._is_held_up(shard)])
        wanted = census.fair_share() - len(self.held)
        if wanted > 0 and (taken := self._leases.acquire(wanted)):
            self._quarantine.taken(taken)
            failpoint(Failpoint.RELAY_AFTER_LEASE)
        if self._leases.is_renewal_due():
            self._leases.renew()
            self.store_progress([shard for shard in self.all() if shard.progress != shard.recorded])
        awaited = sum(shard.acknowledgements.awaited() for shard in self.all())
        self._metrics.holds(len(self.held), awaited, self._leases.runs_out_at)

    def store_progress(self, shards: Collection[HeldShard]) -> None:
        """Store how far these shards are published; Fenced as of `tend`."""
        if any(shard.unrecorded for shard in shards):
            failpoint(Failpoint.RELAY_AFTER_ACK)
        self._progress_store.record(shards)

    def leave_all(self) -> None:
        """Read and send no more of any shard."""
        for shard in self.all():
            shard.leave()

    def retire(self) -> None:
        """Store the progress of all shards, release them, and count no longer among the relays."""
        self._release(self.all())
        self._leases.retire()
        self._metrics.holds(0, 0, 0)

    def _release(self, shards: Collection[HeldShard]) -> None:
        self.store_progress(shards)
        self._leases.release(shards)

    def _is_held_up(self, shard: HeldShard) -> bool:
        return self._replays.holds(shard) or self._quarantine.holds(shard)

    def _leave_surplus(self, census: Census) -> None:
        for shard in self.all():
            if shard.shard in census.paused and not shard.leaving:
                shard.leave()
        staying = sorted((shard for shard in self.all() if not shard.leaving), key=_readiness_to_leave)
        for shard in staying[: max(0, len(staying) - census.fair_share())]:
            shard.leave()


def _readiness_to_leave(shard: HeldShard) -> int:
    """Return the order of leaving: idle shards first, those with events in flight last."""
    return 2 * shard.acknowledgements.awaits_any() + (not shard.read_to.is_between_windows)
