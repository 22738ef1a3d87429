"""A shard with a row on trial is kept until Kafka has answered; then the trial is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from confluent_kafka import KafkaError

from services.outbox_relay.parking.parked_events import ParkedEventStore
from services.outbox_relay.parking.parked_keys import ParkedKeys
from services.outbox_relay.parking.quarantine import Precautions, Quarantine, Step
from services.outbox_relay.parking.suspects import Suspects
from services.outbox_relay.publishing.refusals import BlockedTopics
from services.outbox_relay.publishing.single_record_sender import Record, SingleRecordSender
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import HeldShard
from tests.unit.outbox_relay.clock import StandingClock


class SlowSender:
    """Answers when it is told to, and is heard when it is polled."""

    def __init__(self) -> None:
        self.has_answered = False
        self._busy = False

    def send(self, records: Sequence[Record]) -> None:
        self._busy = True

    def is_busy(self) -> bool:
        return self._busy

    def poll(self, wait_s: float = 0) -> None:
        self._busy = self._busy and not self.has_answered

    def answers(self) -> list[KafkaError | None]:
        return [None]


@pytest.fixture
def sender() -> SlowSender:
    return SlowSender()


@pytest.fixture
def known() -> Precautions:
    return Precautions(Suspects(), BlockedTopics(StandingClock()))


@pytest.fixture
def quarantine(sender: SlowSender, known: Precautions) -> Quarantine:
    return Quarantine(
        cast(ParkedEventStore, None), ParkedKeys(), cast(SingleRecordSender, sender), known, most_parked=10
    )


@pytest.fixture
def tried(quarantine: Quarantine, known: Precautions) -> HeldShard:
    """A shard with a row on trial."""
    shard = HeldShard(3, 1, Progress("10:10:"))
    shard.read([(3, 1, "topic", "key", b"", "id", "1", *["x"] * 6, 0.0)], "20:20:", 0)
    known.suspects.add(3, frozenset(), 1)
    assert quarantine.step(shard) is Step.BLOCKED
    assert quarantine.is_busy()
    return shard


def test_departing_shard_is_kept_until_kafka_answers(
    quarantine: Quarantine, sender: SlowSender, tried: HeldShard
) -> None:
    tried.leave()
    quarantine.tend([tried])
    assert quarantine.holds(tried)
    sender.has_answered = True
    quarantine.tend([tried])
    assert not quarantine.holds(tried)


def test_trial_is_forgotten_after_its_shard_is_left(
    quarantine: Quarantine, sender: SlowSender, known: Precautions, tried: HeldShard
) -> None:
    tried.leave()
    known.suspects.by_shard.clear()
    sender.has_answered = True
    quarantine.tend([])
    assert not quarantine.is_busy()
    assert not quarantine.concerns(tried)


def test_key_under_trial_is_blocked_from_other_paths(
    quarantine: Quarantine, sender: SlowSender, known: Precautions, tried: HeldShard
) -> None:
    known.suspects.by_shard.clear()
    quarantine.tend([tried])
    assert quarantine.concerns(tried)
    assert quarantine.step(tried) is Step.BLOCKED
    sender.has_answered = True
    assert quarantine.step(tried) is Step.QUARANTINED
    assert not quarantine.is_busy()
