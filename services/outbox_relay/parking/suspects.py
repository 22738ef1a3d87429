"""Suspects: records in flight at a rejection, sent again one at a time to find the rejected one."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.outbox_relay.records import Key
from services.outbox_relay.shards.progress import Progress


@dataclass(slots=True)
class SuspectRange:
    """One of a shard's records up to an id was refused.

    Attributes
    ----------
    keys:
        Those of the refused batch; none if unknown: every key is suspect then.
    up_to:
        The highest id sent so far.
    since:
        Where the shard stood when it was taken again; None until then.
    """

    keys: frozenset[Key]
    up_to: int
    since: Progress | None = None

    def covers(self, key: Key, row_id: int) -> bool:
        """Return True if this row may be the rejected one."""
        return row_id <= self.up_to and (not self.keys or key in self.keys)

    def is_settled_at(self, progress: Progress) -> bool:
        """Return True once all suspects, in the current or the next window, are published or parked."""
        return self.since is not None and progress.snap not in (self.since.snap, self.since.next_snap)


@dataclass
class Suspects:
    """The suspicions of one relay, by shard; they outlive its sessions."""

    by_shard: dict[int, SuspectRange] = field(default_factory=dict)

    def add(self, shard: int, keys: frozenset[Key], up_to: int) -> None:
        """Suspect these keys, in flight up to an id of this shard at a rejection."""
        before = self.by_shard.get(shard)
        if before is not None:
            keys = keys | before.keys if keys and before.keys else frozenset()
            up_to = max(up_to, before.up_to)
        self.by_shard[shard] = SuspectRange(keys, up_to)

    def taken(self, shard: int, progress: Progress) -> None:
        """Note a newly owned shard and its progress."""
        suspicion = self.by_shard.get(shard)
        if suspicion is not None:
            suspicion.since = progress

    def look_at(self, shard: int, progress: Progress) -> None:
        """Drop settled ranges."""
        suspicion = self.by_shard.get(shard)
        if suspicion is not None and suspicion.is_settled_at(progress):
            del self.by_shard[shard]

    def covers(self, shard: int, key: Key, row_id: int) -> bool:
        """Return True if this row may be the rejected one."""
        suspicion = self.by_shard.get(shard)
        return suspicion is not None and suspicion.covers(key, row_id)
