"""The records of a topic, read from its beginning."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from shared.kafka.clients import headers_of, open_consumer
from shared.settings import Settings
from tests.support.waiting import LIMIT_S


@dataclass(frozen=True)
class Record:
    """A record with a CloudEvent."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        return self.headers["ce_id"]

    @property
    def sequence(self) -> int:
        return int(self.headers["ce_sequence"])


class KafkaLog:
    """A topic, read on with every question."""

    def __init__(self, consumer: Consumer, topic: str, partitions: int) -> None:
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, n, 0) for n in range(partitions)]
        self._consumer.assign(self._partitions)
        self._records: list[Record] = []

    def wait_for(self, events: int, limit_s: float = LIMIT_S) -> list[Record]:
        """All records once there are so many distinct events, and whatever else the topic holds by then."""
        began = time.monotonic()
        while len({record.event_id for record in self._records}) < events:
            assert time.monotonic() - began < limit_s, f"{len(self._records)} records, expected {events} events"
            self._take(0.05)
        return self.to_the_end()

    def wait_for_event(self, key: str, sequence: int, limit_s: float = LIMIT_S) -> Record:
        """The first record of this event, once it is there."""
        began = time.monotonic()
        while not (found := [r for r in self._records if r.key == key and r.sequence == sequence]):
            assert time.monotonic() - began < limit_s, f"{key} {sequence} is not among {len(self._records)} records"
            self._take(0.05)
        return found[0]

    def to_the_end(self) -> list[Record]:
        """All records of the topic by now."""
        ends = {p.partition: self._end(p) for p in self._partitions}
        while any(max(p.offset, 0) < ends[p.partition] for p in self._positions()):
            self._take(0.05)
        return self._records

    @retry(stop=stop_after_delay(LIMIT_S), wait=wait_fixed(0.1), retry=retry_if_exception_type(KafkaException))
    def _end(self, partition: TopicPartition) -> int:
        """A topic just made has partitions without a leader for a while."""
        _, end = self._consumer.get_watermark_offsets(partition, timeout=LIMIT_S)
        return end

    def _positions(self) -> list[TopicPartition]:
        return self._consumer.position(self._partitions)

    def _take(self, wait_s: float) -> None:
        self._records += map(_record, self._consumer.consume(10_000, timeout=wait_s))


@contextmanager
def open_log(settings: Settings, topic: str) -> Iterator[KafkaLog]:
    """The log of a topic of this environment."""
    # Questions about the log's end wait behind a fetch, one for each partition.
    consumer = open_consumer(settings, "log", fetch_wait_max_ms=20)
    try:
        yield KafkaLog(consumer, topic, settings.topic_partitions)
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    assert message.error() is None, message.error()
    key, value, partition, offset = message.key(), message.value(), message.partition(), message.offset()
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    assert partition is not None
    assert offset is not None
    return Record(partition, offset, key.decode(), value, headers_of(message))


def sequences_by_key(records: list[Record]) -> dict[str, list[int]]:
    """The sequence numbers of each key's first occurrences, in the order of the log."""
    sequences = defaultdict(list)
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record.event_id, record)
    for record in first.values():
        sequences[record.key].append(record.sequence)
    return dict(sequences)


def assert_published_in_order(records: list[Record], committed: dict[str, tuple[str, int]]) -> None:
    """Every committed event is there, none else, each key on one partition and in order 1, 2, 3, …"""
    assert {r.event_id: (r.key, r.sequence) for r in records} == committed
    for key, sequences in sequences_by_key(records).items():
        assert sequences == list(range(1, len(sequences) + 1)), key
    partitions = {(r.key, r.partition) for r in records}
    assert len(partitions) == len({key for key, _ in partitions})
