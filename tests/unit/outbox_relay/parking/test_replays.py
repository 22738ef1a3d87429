"""While nothing is parked, nothing is asked."""

from __future__ import annotations

from typing import cast

from services.outbox_relay.courier import Courier
from services.outbox_relay.detour import Detour, Precautions
from services.outbox_relay.parked_keys import ParkedKeys
from services.outbox_relay.parking import ParkingLot
from services.outbox_relay.parking_policy import ShutTopics
from services.outbox_relay.progress import Progress
from services.outbox_relay.replays import Replays
from services.outbox_relay.shard import HeldShard
from services.outbox_relay.suspects import Suspects
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock


class EmptyLot:
    """Has nothing parked, and must not be asked for anything else."""

    def keys_of(self, shards: list[HeldShard]) -> dict[int, list[object]]:
        return {shard.shard: [] for shard in shards}


def test_a_relay_without_parked_keys_neither_asks_for_requests_nor_looks_at_rows() -> None:
    keys, lot = ParkedKeys(), cast(ParkingLot, EmptyLot())
    known = Precautions(Suspects(), ShutTopics(StandingClock()))
    courier = Courier(Settings(), on_refused=lambda _: None)
    detour = Detour(lot, keys, courier, known, most_parked=10)
    replays = Replays(lot, keys, courier, known.shut_topics)
    held = {3: HeldShard(3, 1, Progress("10:10:"))}
    detour.taken(list(held.values()))
    detour.tend(held.values())
    replays.look(held)
    replays.step(held)
    assert not detour.concerns(held[3])
    assert detour.record(held.values()) == []
    assert not replays.is_busy()
    assert courier._producer is None, "it is opened when it is first needed"
