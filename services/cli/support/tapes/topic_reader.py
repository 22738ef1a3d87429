"""Records of a range of Kafka offsets, read once and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.clock import SystemClock
from shared.errors import InvalidInput, NotFound, Unavailable
from shared.kafka.clients import open_admin, open_consumer
from shared.kafka.consuming import PASSING, offset_of, partition_of
from shared.kafka.topics import Bounds, Partition, bounds_of, describe
from shared.settings import Settings

RECORDS_AT_ONCE: Final = 1_000
WAIT_S: Final = 1.0
SILENCE_S: Final = 30.0
"""Longest time without a record or the end of a partition."""
_QUEUE_KB: Final = "16384"
"""Most bytes fetched ahead by the client, whatever the topic holds."""
_CLOCK: Final = SystemClock()


def read_range(settings: Settings, ranges: Mapping[Partition, Bounds]) -> Iterator[Message]:
    """Yield the records of each partition from its first offset until just before its end, in order of offsets.

    Nothing is committed: the range can be read again.

    Raises
    ------
    NotFound
        The topic was deleted meanwhile.
    InvalidInput
        Retention has removed records of the range meanwhile.
    Unavailable
        Kafka does not answer.
    """
    ends = {each: bounds.end for each, bounds in ranges.items() if bounds.beginning < bounds.end}
    if not ends:
        return
    consumer = open_consumer(
        settings,
        "replay",
        auto_offset_reset="error",
        enable_partition_eof=True,
        queued_max_messages_kbytes=_QUEUE_KB,
    )
    try:
        consumer.assign([TopicPartition(*each, ranges[each].beginning) for each in ends])
        yield from _RangeReader(consumer, open_admin(settings), ends).records()
    finally:
        consumer.close()


class _RangeReader:
    """Reads assigned partitions until each has reached its end."""

    def __init__(self, consumer: Consumer, admin: AdminClient, ends: dict[Partition, int]) -> None:
        self._consumer = consumer
        self._admin = admin
        self._ends = ends
        self._heard_s = _CLOCK.monotonic()

    def records(self) -> Iterator[Message]:
        while self._ends:
            for message in self._consume():
                partition = partition_of(message)
                end = self._ends.get(partition)
                if end is None:
                    continue
                if message.error() is not None:
                    self._finish_if(partition, _is_end(message))
                    continue
                offset = offset_of(message)
                if offset < end:
                    yield message
                self._finish_if(partition, offset + 1 >= end)

    def _consume(self) -> list[Message]:
        """Return the next records and ends; raise the error of another event."""
        first = self._consumer.poll(WAIT_S)
        arrived = [] if first is None else [first, *self._consumer.consume(RECORDS_AT_ONCE - 1, 0)]
        found = [each for each in arrived if not self._is_passing(each)]
        if found:
            self._heard_s = _CLOCK.monotonic()
        elif _CLOCK.monotonic() - self._heard_s > SILENCE_S:
            self._explain_silence()
        return found

    def _finish_if(self, partition: Partition, is_over: bool) -> None:
        """Read a partition no more if it is over: neither its later records nor their bytes."""
        if is_over:
            del self._ends[partition]
            self._consumer.pause([TopicPartition(*partition)])

    def _is_passing(self, message: Message) -> bool:
        error = message.error()
        if error is None or _is_end(message):
            return False
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._explain_gap(partition_of(message), message.offset())
        if error.code() not in PASSING:
            raise KafkaException(error)
        return True

    def _explain_gap(self, partition: Partition, position: int | None) -> None:
        topic, number = partition
        beginning = bounds_of(self._admin, [partition])[partition].beginning
        raise InvalidInput(
            f"{topic} partition {number}: retention has removed offset {position} while it was read; "
            f"begin again with --from-offset {number}:{beginning}"
        )

    def _explain_silence(self) -> None:
        topic = next(iter(self._ends))[0]
        if describe(self._admin, [topic])[topic] is None:
            raise NotFound(f"the topic {topic} was deleted while it was read")
        raise Unavailable(f"Kafka has sent nothing of {topic} for {SILENCE_S:.0f} s; repeat the command")


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF
