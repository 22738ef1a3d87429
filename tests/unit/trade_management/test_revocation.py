"""A partition that moves while records of it are being taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.consumer import FillConsumer
from shared.clock import SystemClock
from shared.runtime.health import Health
from shared.runtime.process import Stop

TOPIC = "exits.intents.v1"


class Record:
    """What a consumer asks of a message."""

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
    """Has one record at hand; while it is asked for more, partition 0 is taken away. Then it stops the loop."""

    def __init__(self, stop: Stop, *, comes_back: bool) -> None:
        self._stop = stop
        self._comes_back = comes_back
        self._revoke: Callable[[Any, list[TopicPartition]], None]
        self.committed: list[tuple[int, int]] = []
        self.sought: list[tuple[int, int]] = []

    def subscribe(self, _: list[str], on_revoke: Callable[[Any, list[TopicPartition]], None], **__: object) -> None:
        self._revoke = on_revoke

    def list_topics(self, *_: object, **__: object) -> object:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, _: float) -> Record:
        return Record(0, 7)

    def consume(self, _: int, __: float) -> list[Record]:
        self._revoke(self, [TopicPartition(TOPIC, 0)])
        self._stop.set()
        return [Record(0, 8), Record(1, 3)]

    def seek(self, to: TopicPartition) -> None:
        if not self._comes_back:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.sought.append((to.partition, to.offset))

    def get_watermark_offsets(self, *_: object, **__: object) -> None:
        return None

    def commit(self, offsets: list[TopicPartition], **_: object) -> None:
        self.committed += [(each.partition, each.offset) for each in offsets]

    def close(self) -> None:
        pass


class Applied:
    """Batches that take everything."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int]] = []

    def apply(self, records: list[Record]) -> None:
        self.records += [(record.partition(), record.offset()) for record in records]


def _run(*, comes_back: bool) -> tuple[MovingConsumer, Applied]:
    stop, applied = Stop(), Applied()
    consumer = MovingConsumer(stop, comes_back=comes_back)
    FillConsumer(cast(Consumer, consumer), TOPIC, cast(FillBatches, applied), Health(), SystemClock(), stop).run()
    return consumer, applied


def test_what_its_next_owner_reads_is_neither_applied_nor_committed() -> None:
    consumer, applied = _run(comes_back=False)
    assert applied.records == [(1, 3)]
    assert consumer.committed == [(1, 4)]


def test_what_comes_back_to_us_is_read_again_from_the_first_that_was_dropped() -> None:
    consumer, applied = _run(comes_back=True)
    assert applied.records == [(1, 3)]
    assert consumer.sought == [(0, 7)]
