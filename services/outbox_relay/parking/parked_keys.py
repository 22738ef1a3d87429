"""Which keys have parked events: later events of such a key park too, so that its order holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Key = tuple[str, str]
"""Topic and key: what order holds within."""


@dataclass(slots=True)
class _Waiting:
    first: str
    unrecorded: int = 0


class ParkedKeys:
    """The parked keys of the shards that a relay holds: what the database has, and what is about to be written."""

    def __init__(self) -> None:
        self._shards: dict[int, dict[Key, _Waiting]] = {}

    def load(self, shard: int, found: Iterable[tuple[Key, str]]) -> None:
        """A shard was taken; these keys have parked events, each with the id of its first."""
        self._shards[shard] = {key: _Waiting(first) for key, first in found}

    def keep_only(self, shards: Iterable[int]) -> None:
        """Forget the shards that are no longer held."""
        kept = set(shards)
        self._shards = {shard: keys for shard, keys in self._shards.items() if shard in kept}

    def in_shard(self, shard: int) -> bool:
        """True if any key of this shard has parked events."""
        return bool(self._shards.get(shard))

    def shards(self) -> list[int]:
        """Those with parked events."""
        return [shard for shard, keys in self._shards.items() if keys]

    def first_of(self, shard: int, key: Key) -> str | None:
        """The event that this key waits for; None if it does not wait."""
        waiting = self._shards.get(shard, {}).get(key)
        return None if waiting is None else waiting.first

    def park(self, shard: int, key: Key, event_id: str) -> None:
        """An event of this key is to be parked; the database does not have it yet."""
        self._shards.setdefault(shard, {}).setdefault(key, _Waiting(event_id)).unrecorded += 1

    def recorded(self, shard: int, key: Key) -> None:
        """The database has one event more of this key."""
        self._shards[shard][key].unrecorded -= 1

    def released(self, shard: int, key: Key) -> bool:
        """The database has none left of this key: it flows again, unless events of it are still to be written."""
        keys = self._shards.get(shard, {})
        waiting = keys.get(key)
        if waiting is not None and waiting.unrecorded == 0:
            del keys[key]
            return True
        return False
