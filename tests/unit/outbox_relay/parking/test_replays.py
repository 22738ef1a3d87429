"""While nothing is parked, nothing is asked; events taken by Kafka count as published."""

from __future__ import annotations

import random
from typing import cast

from services.outbox_relay.parking.parked_events import DecidedEvent, Outcome, ParkedEventStore
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.parking.quarantine import Precautions, Quarantine
from services.outbox_relay.parking.replays import Replays
from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.publishing.refusals import BlockedTopics
from services.outbox_relay.publishing.single_record_sender import SingleRecordSender
from services.outbox_relay.records import Key
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import HeldShard
from shared.ids import new_id
from shared.settings import Settings
from tests.unit.outbox_relay.clock import BEGIN, StandingClock
from tests.unit.outbox_relay.parking.parking_model import FakeSender, Kafka


class EmptyStore:
    """Has nothing parked, and must not be asked for anything else."""

    def keys_of(self, shards: list[HeldShard]) -> dict[int, list[object]]:
        return {shard.shard: [] for shard in shards}


def test_relay_without_parked_keys_reads_no_requests_or_rows() -> None:
    keys, store = ParkedKeys(), cast(ParkedEventStore, EmptyStore())
    known = Precautions(Suspects(), BlockedTopics(StandingClock()))
    sender = SingleRecordSender(Settings(), on_refused=lambda _: None)
    quarantine = Quarantine(store, keys, sender, known, most_parked=10)
    replays = Replays(store, keys, sender, known.blocked_topics, lambda _: None)
    held = {3: HeldShard(3, 1, Progress("10:10:"))}
    quarantine.taken(list(held.values()))
    quarantine.tend(held.values())
    replays.look(held)
    replays.step(held)
    assert not quarantine.concerns(held[3])
    assert quarantine.record(held.values()) == []
    assert not replays.is_busy()
    assert sender._producer is None, "it is opened when it is first needed"


class DecidedLot:
    """Two events of a key are decided, one each way."""

    def decided(self, _: list[int]) -> list[DecidedEvent]:
        return [
            DecidedEvent(
                str(new_id()),
                3,
                "t",
                "k",
                sequence,
                "x",
                "x",
                "x",
                "x",
                "x",
                "x",
                None,
                b"",
                request,
                "me",
                BEGIN,
                "why",
            )
            for sequence, request in ((1, "REPLAY"), (2, "DISCARD"))
        ]

    def conclude(self, outcome: Outcome, _: object) -> set[Key]:
        return set(outcome.keys_done())


def test_replayed_and_discarded_events_count_as_published() -> None:
    kafka, keys, counted = Kafka(random.Random(1)), ParkedKeys(), list[int]()
    keys.load(3, [(("t", "k"), "the first")])
    sender = cast(SingleRecordSender, FakeSender(kafka))
    replays = Replays(
        cast(ParkedEventStore, DecidedLot()), keys, sender, BlockedTopics(StandingClock()), counted.append
    )
    held = {3: HeldShard(3, 1, Progress("10:10:"))}
    replays.look(held)
    while replays.is_busy():
        replays.step(held)
    assert kafka.log == [("t", "k", 1), ("t", "k", 2)]
    assert sum(counted) == 2
