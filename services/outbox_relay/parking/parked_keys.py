"""Keys with parked events: later events of such a key are parked too, to keep its order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.outbox_relay.records import Key


@dataclass(slots=True)
class _Waiting:
    first: str
    unrecorded: int = 0


class ParkedKeys:
    """Parked keys of the relay's shards: those in the database, and those about to be stored."""

    def __init__(self) -> None:
        self._shards: dict[int, dict[Key, _Waiting]] = {}

    def load(self, shard: int, found: Iterable[tuple[Key, str]]) -> None:
        """Add a newly owned shard's parked keys, each with its first event's id."""
        self._shards[shard] = {key: _Waiting(first) for key, first in found}

    def keep_only(self, shards: Iterable[int]) -> None:
        """Forget shards no longer held."""
        kept = set(shards)
        self._shards = {shard: keys for shard, keys in self._shards.items() if shard in kept}

    def in_shard(self, shard: int) -> bool:
        """Return True if any key of this shard has parked events."""
        return bool(self._shards.get(shard))

    def shards(self) -> list[int]:
        """Return the shards with parked events."""
        return [shard for shard, keys in self._shards.items() if keys]

    def first_of(self, shard: int, key: Key) -> str | None:
        """Return the event blocking this key; None if nothing does."""
        waiting = self._shards.get(shard, {}).get(key)
        return None if waiting is None else waiting.first

    def park(self, shard: int, key: Key, event_id: str) -> None:
        """Add an event about to be parked, not yet in the database."""
        self._shards.setdefault(shard, {}).setdefault(key, _Waiting(event_id)).unrecorded += 1

    def recorded(self, shard: int, key: Key) -> None:
        """Count one more event of this key in the database."""
        self._shards[shard][key].unrecorded -= 1

    def released(self, shard: int, key: Key) -> bool:
        """Release a key with no events left in the database, unless events of it are still to be stored."""
        keys = self._shards.get(shard, {})
        waiting = keys.get(key)
        if waiting is not None and waiting.unrecorded == 0:
            del keys[key]
            return True
        return False
