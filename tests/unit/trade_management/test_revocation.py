"""A partition moved while records of it are being taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from services.trade_management.fills.consumer import FillMembership
from services.trade_management.fills.intent_log import IntentLog
from services.trade_management.fills.lanes import FillLanes
from shared.clock import SystemClock
from shared.kafka import consuming
from shared.kafka.consuming import WatchedConsumer
from shared.kafka.gap_report import GapReport
from shared.kafka.topics import TopicState
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

TOPIC = "exits.intents.v1"


class Record:
    """The consumer's interface of a message."""

    def __init__(self, partition: int, offset: int) -> None:
        self._partition = partition
        self._offset = offset

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> None:
        return None


class MovingConsumer:
    """Has one record at hand; while it is asked for more, partition 0 is taken away."""

    def __init__(self, *, comes_back: bool) -> None:
        self._comes_back = comes_back
        self._revoke: Callable[[Any, list[TopicPartition]], None]
        self.committed: list[tuple[int, int]] = []
        self.sought: list[tuple[int, int]] = []

    def subscribe(self, _: list[str], on_revoke: Callable[[Any, list[TopicPartition]], None], **__: object) -> None:
        self._revoke = on_revoke

    def poll(self, _: float) -> Record:
        return Record(0, 7)

    def consume(self, _: int, __: float) -> list[Record]:
        self._revoke(self, [TopicPartition(TOPIC, 0)])
        return [Record(0, 8), Record(1, 3)]

    def seek(self, to: TopicPartition) -> None:
        if not self._comes_back:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.sought.append((to.partition, to.offset))

    def assign(self, _: list[TopicPartition]) -> None:
        pass

    def commit(self, offsets: list[TopicPartition], **_: object) -> None:
        self.committed += [(each.partition, each.offset) for each in offsets]


class Applied:
    """Batches with room for everything."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int]] = []

    def apply(self, records: list[Record]) -> Iterator[list[Record]]:
        self.records += [(record.partition(), record.offset()) for record in records]
        yield records


class NoGaps:
    """Reports nothing as missed."""

    def show(self) -> None:
        pass


Run = Callable[[bool], tuple[MovingConsumer, Applied]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Takes one step, and the last commit, with a consumer of a partition 0 back or gone."""

    def step(comes_back: bool) -> tuple[MovingConsumer, Applied]:
        kafka, applied = MovingConsumer(comes_back=comes_back), Applied()
        monkeypatch.setattr(consuming, "open_consumer", lambda *_, **__: kafka)
        monkeypatch.setattr(consuming, "open_admin", lambda _: None)
        clock, health = SystemClock(), Health()
        consumer = WatchedConsumer(Settings(), "group", {TOPIC: TopicState("id", 2)}, health, clock)
        consumer.assign({(TOPIC, 0): 7, (TOPIC, 1): 3})
        membership = FillMembership(
            consumer,
            cast(IntentLog, None),
            cast(FillLanes, applied),
            cast(GapReport, NoGaps()),
            health,
            clock,
            Stop(),
        )
        membership.subscribe()
        membership.step()
        membership.finish()
        return kafka, applied

    return step


def test_what_its_next_owner_reads_is_neither_applied_nor_committed(run: Run) -> None:
    consumer, applied = run(False)
    assert applied.records == [(1, 3)]
    assert consumer.committed == [(1, 4)]


def test_a_returned_partition_resumes_at_the_first_dropped_record(run: Run) -> None:
    consumer, applied = run(True)
    assert applied.records == [(1, 3)]
    assert consumer.sought == [(0, 7)]
