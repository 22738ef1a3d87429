"""The whole Kafka log of the event topics, as it stands now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from shared.clock import Clock
from shared.contracts.topics import EVENT_TOPICS, TopicNames
from shared.errors import Unavailable
from shared.kafka.clients import headers_of, murmur2_partition, open_admin, open_consumer, partition_counts
from shared.kafka.rights import OPERATOR
from shared.kafka.topics import bounds_of
from shared.settings import Settings

READ_LIMIT_S = 120
_BATCH = 5000


@dataclass(frozen=True)
class LogRecord:
    """A record; `topic` as the cluster names it.

    `sequence` is 0 and `written_at` None where the header is missing or cannot be read.
    """

    topic: str
    partition: int
    offset: int
    key: str
    event_id: str
    event_type: str
    sequence: int
    payload: bytes = field(repr=False)
    written_at: datetime | None = None

    @property
    def payload_hash(self) -> bytes:
        """Return the SHA-256 of the value."""
        return hashlib.sha256(self.payload).digest()

    @property
    def where(self) -> str:
        """Return the record's position."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True)
class Removed:
    """Positions of records removed by retention: missing records there may have existed, consumed or not.

    Attributes
    ----------
    partitions:
        Partitions, by topic on the cluster and number, that do not begin at offset 0 any more.
    counts:
        How many partitions each topic has.
    """

    partitions: frozenset[tuple[str, int]] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)

    def may_have_had(self, topic: str, key: str) -> bool:
        """Return whether records of a key may have been removed; `topic` as the cluster names it."""
        count = self.counts.get(topic)
        return count is not None and (topic, murmur2_partition(key.encode(), count)) in self.partitions

    def from_topic(self, topic: str) -> bool:
        """Return whether any record of a topic of ours was removed; `topic` without the environment's prefix."""
        return any(name.endswith(topic) for name, _ in self.partitions)


def read_removed(settings: Settings) -> Removed:
    """Return the positions of removed records; read them after the log to cover all its gaps."""
    admin = open_admin(settings)
    names = [TopicNames(settings.kafka_topic_prefix).on_cluster(topic) for topic in EVENT_TOPICS]
    counts = partition_counts(admin, names)
    partitions = [(name, number) for name in names for number in range(counts[name])]
    bounds = bounds_of(admin, partitions)
    return Removed(frozenset(each for each in partitions if bounds[each].beginning > 0), counts)


def read_log(settings: Settings, clock: Clock) -> list[LogRecord]:
    """Read every record of the event topics, by partition in offset order.

    Raises
    ------
    Unavailable
        The end was not reached within READ_LIMIT_S seconds.
    """
    names = [TopicNames(settings.kafka_topic_prefix).on_cluster(topic) for topic in EVENT_TOPICS]
    counts = partition_counts(open_admin(settings), names)
    partitions = [TopicPartition(name, n, OFFSET_BEGINNING) for name in names for n in range(counts[name])]
    consumer = open_consumer(settings, f"{OPERATOR}-check", enable_partition_eof=True)
    try:
        consumer.assign(partitions)
        records = list(_until_the_end(consumer, partitions, clock))
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))


def _until_the_end(consumer: Consumer, partitions: Sequence[TopicPartition], clock: Clock) -> Iterator[LogRecord]:
    open_ones = {(partition.topic, partition.partition) for partition in partitions}
    deadline = clock.monotonic() + READ_LIMIT_S
    while open_ones:
        if clock.monotonic() > deadline:
            raise Unavailable(f"the log's end was not reached within {READ_LIMIT_S} s: {sorted(open_ones)}")
        for message in consumer.consume(_BATCH, timeout=0.5):
            error = message.error()
            if error is None:
                yield _record(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                open_ones.discard((str(message.topic()), int(message.partition() or 0)))
            elif not error.retriable():
                raise KafkaException(error)


def _record(message: Message) -> LogRecord:
    headers = headers_of(message)
    sequence = headers.get("ce_sequence", "")
    return LogRecord(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        key=_text(message.key()),
        event_id=headers.get("ce_id", ""),
        event_type=headers.get("ce_type", ""),
        sequence=int(sequence) if sequence.isascii() and sequence.isdigit() else 0,
        payload=_bytes(message.value()),
        written_at=_instant(headers.get("ce_time", "")),
    )


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _text(value: str | bytes | None) -> str:
    return _bytes(value).decode("utf-8", "replace")


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
