"""Where a consumer stands in its partitions."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from services.trade_management.telemetry import CONSUMER_LAG

log = logging.getLogger(__name__)

Partition = tuple[str, int]


class Offsets:
    """Commits the offsets of records whose effects are committed, and steps back to records whose are not."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._done: dict[Partition, int] = {}

    def done(self, records: Sequence[Message]) -> None:
        """The effects of these records are committed."""
        for record in records:
            self._done[partition_of(record)] = _offset(record) + 1
        for (topic, partition), offset in self._done.items():
            bounds = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            CONSUMER_LAG.labels(str(partition)).set(max(0, bounds[1] - offset) if bounds else 0)

    def commit(self) -> None:
        """Tell Kafka how far the effects have come; what fails is told again with the next call.

        Raises
        ------
        KafkaException
            Kafka does not take it now.
        """
        if self._done:
            positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._done.items()]
            self._consumer.commit(offsets=positions, asynchronous=False)
            self._done.clear()

    def step_back(self, records: Sequence[Message]) -> None:
        """Have these records delivered again, to this copy or to whichever owns their partitions by then."""
        for (topic, partition), offset in _first_offsets(records).items():
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                # Revoked in the meantime: its next owner starts at the committed offset.
                log.info("cannot step back on %s-%d: %s", topic, partition, error.args[0].str())

    def forget(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions have another owner now."""
        CONSUMER_LAG.clear()
        for each in partitions:
            self._done.pop((each.topic, each.partition), None)


def _first_offsets(records: Sequence[Message]) -> dict[Partition, int]:
    first: dict[Partition, int] = {}
    for record in records:
        first[partition_of(record)] = min(_offset(record), first.get(partition_of(record), _offset(record)))
    return first


def partition_of(record: Message) -> Partition:
    """Where a record lies."""
    topic, partition = record.topic(), record.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def _offset(record: Message) -> int:
    offset = record.offset()
    assert offset is not None
    return offset
