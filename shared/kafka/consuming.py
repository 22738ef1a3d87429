"""Kafka consuming for every service: one membership loop, and a consumer aware of its position."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from math import ceil
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.back_off import BackOff
from shared.clock import Clock
from shared.errors import ConfigurationError, ExitflowError, first_line
from shared.kafka.clients import open_admin, open_consumer
from shared.kafka.topic_watch import CONDITION, Change, Positions, TopicChange, TopicsChanged, TopicWatch, removal
from shared.kafka.topics import Partition, TopicState, bounds_of
from shared.postgres.failures import reason
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

STEADY_S = 10.0
"""After a membership of this length, the next wait is the first again."""

PASSING = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._WAIT_COORD,
        # The client joins again by itself.
        KafkaError._MAX_POLL_EXCEEDED,
        # The watch judges whether a topic is gone: a broker just started may not know it yet.
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Errors after which the client goes on by itself; every other one ends the membership."""


class WatchedConsumer(AbstractContextManager["WatchedConsumer"]):
    """A consumer with watched topics and positions while inside; closed afterwards.

    Attributes
    ----------
    consumer:
        The client, for subscribing, seeking and committing.
    topics:
        The topics as they were when it joined.
    ends:
        For each partition once read to its end, the offset there.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Mapping[str, TopicState],
        health: Health,
        clock: Clock,
        **overrides: str,
    ) -> None:
        self.topics = dict(topics)
        self.admin: AdminClient = open_admin(settings)
        # A position missing from the log is an event for the watch, never a silent jump.
        config = {"auto_offset_reset": "error", "enable_partition_eof": True, **overrides}
        self.consumer: Consumer = open_consumer(settings, group, **config)
        self._positions = Positions(clock)
        self._watch = TopicWatch(self.admin, self.topics, self._positions, health, clock, settings.kafka_watch_s)
        self._open = ExitStack()
        self.ends: dict[Partition, int] = {}
        self._paused: frozenset[Partition] = frozenset()

    def __enter__(self) -> Self:
        self._open.callback(self.consumer.close)
        self._open.enter_context(self._watch)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._open.close()
        self._positions.revoke()

    def assign(self, positions: Mapping[Partition, int], log_ends: Mapping[Partition, int] | None = None) -> None:
        """Read these partitions from these offsets on.

        With the ends of their logs, those with nothing left to read count as read to the end at once. Kafka tells the
        end of a partition only with the answer to a fetch, which may take half a second.
        """
        at_end = {where: end for where, end in (log_ends or {}).items() if positions[where] >= end}
        self.ends, self._paused = at_end, frozenset()
        self.consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in positions.items()])
        self._positions.assign(positions)

    def unassign(self) -> None:
        """Read nothing until `assign`."""
        self.consumer.unassign()
        self._positions.revoke()

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these assigned partitions, and read on those paused before."""
        wanted = frozenset(partitions)
        if wanted == self._paused:
            return
        if back := self._paused - wanted:
            self.consumer.resume([TopicPartition(*each) for each in back])
        if more := wanted - self._paused:
            self.consumer.pause([TopicPartition(*each) for each in more])
        self._paused = wanted

    def revoked(self) -> None:
        """Drop the assignment; nothing is assigned until `assign`."""
        self._positions.revoke()

    def seek(self, positions: Mapping[Partition, int]) -> None:
        """Deliver the records from these offsets again; skip partitions revoked meanwhile."""
        for (topic, number), at in positions.items():
            try:
                self.consumer.seek(TopicPartition(topic, number, at))
            except KafkaException as error:
                # Its next owner starts at the committed offset.
                log.info("cannot step back on %s-%d: %s", topic, number, error.args[0].str())
        self._positions.step_back(positions)

    def gather(self, limit: int, wait_s: float) -> list[Message]:
        """Return the records of the next `wait_s` seconds, at most `limit`; errors as in `take`."""
        self._watch.refuse_changes()
        self._positions.polling()
        messages = self.consumer.consume(limit, wait_s)
        self._sorted(messages)
        return _usable(messages)

    def take(self, limit: int, wait_s: float) -> list[Message]:
        """Return the next record once available, with all others already received.

        The next call confirms the records of the last one as processed.

        Raises
        ------
        TopicsChanged
            The topics have changed; join again.
        KafkaException
            The membership is over.
        """
        messages = self._poll(limit, wait_s)
        self._sorted(messages)
        return _usable(messages)

    def take_by_partition(self, limit: int, wait_s: float) -> dict[Partition, list[Message]]:
        """Do as `take`; return the records of each partition in order of their offsets."""
        return self._sorted(self._poll(limit, wait_s))

    def _poll(self, limit: int, wait_s: float) -> list[Message]:
        self._watch.refuse_changes()
        self._positions.polling()
        first = self.consumer.poll(ceil(wait_s * 1000) / 1000)  # the client cuts to milliseconds: it would not wait
        return [] if first is None else [first, *self.consumer.consume(limit - 1, 0)]

    def _sorted(self, messages: Sequence[Message]) -> dict[Partition, list[Message]]:
        """Return the records by partition; note the positions after them, and handle errors among them."""
        records: dict[Partition, list[Message]] = {}
        others: list[Message] = []
        for message in messages:
            if message.error() is not None:
                others.append(message)
                continue
            partition = message.topic(), message.partition()
            of_partition = records.get(partition)  # type: ignore[arg-type]  # a delivered record has both
            if of_partition is None:
                of_partition = records[partition_of(message)] = []
            of_partition.append(message)
        positions = {partition: offset_of(of_partition[-1]) + 1 for partition, of_partition in records.items()}
        self.ends |= (ends := _ends(others))
        self._positions.delivered(positions | ends)
        for message in others:
            self._handle(message)
        return records

    def _handle(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._explain_refusal(partition_of(message))
        elif error.code() in PASSING:
            log.info("Kafka: %s", error.str())
        elif error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)

    def _explain_refusal(self, partition: Partition) -> None:
        """Say why Kafka refuses to read a partition where it stands; nothing if it is not assigned any more.

        Raises
        ------
        TopicsChanged
            The position is beyond the end, or was removed, or has just come into being.
        """
        position = self._positions.snapshot().get(partition)
        if position is None:
            return
        beginning, end = bounds_of(self.admin, [partition])[partition]
        if position < beginning:
            raise TopicsChanged([removal(partition, position, beginning)])
        topic, number = partition
        what = f"{topic} partition {number} ends at {end} and {position} was read before"
        raise TopicsChanged([TopicChange(Change.BEYOND_END, topic, what, partition=number, position=position)])


Step = Callable[[], None]
Join = Callable[[], AbstractContextManager[Step]]


class ConsumerLoop:
    """Join the group, run steps, and rejoin after a failed membership.

    On a `ConfigurationError`, a case for an operator, the loop pauses, reports the command to run in health, and
    retries every `look_s` seconds. It never ends the process.
    """

    def __init__(self, health: Health, clock: Clock, look_s: float, passing: tuple[type[Exception], ...] = ()) -> None:
        self._health = health
        self._clock = clock
        self._look_s = look_s
        self._passing: tuple[type[Exception], ...] = (ExitflowError, KafkaException, *passing)
        self._back_off = BackOff()
        self._held_by: str | None = None

    def run(self, join: Join, stop: Stop, condition: str) -> None:
        """Work until `stop` is set; retry after transient errors of `join` and its step.

        The steps renew `condition`; it stays alive while there is no membership.
        """
        while not stop.is_set():
            began = self._clock.monotonic()
            self._health.alive(condition)
            try:
                with join() as step:
                    self._held_by = None
                    while not stop.is_set():
                        step()
            except ConfigurationError as error:
                self._hold(str(error), stop)
            except self._passing as error:
                if self._clock.monotonic() - began >= STEADY_S:
                    self._back_off.reset()
                what = shown(error)
                log.warning("consuming interrupted, joining again: %s", what)
                self._health.problem(CONDITION, what)
                self._back_off.wait(stop)

    def _hold(self, what: str, stop: Stop) -> None:
        if what != self._held_by:
            log.error("holding: %s", what)
        self._held_by = what
        self._health.problem(CONDITION, what)
        stop.wait(self._look_s)


def shown(error: Exception) -> str:
    """Return an error's text without statements, parameters, hosts or roles."""
    match error:
        case ExitflowError():
            return first_line(error)
        case KafkaException():
            return f"Kafka: {error.args[0].str()}"
        case _:
            return f"the database does not take it ({reason(error)})"


def partition_of(message: Message) -> Partition:
    """Return where a record lies."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return topic, partition


def offset_of(message: Message) -> int:
    """Return the offset of a record."""
    offset = message.offset()
    assert offset is not None
    return offset


def first_offsets(records: Iterable[Message]) -> dict[Partition, int]:
    """Return the first offset of each partition among the records."""
    first: dict[Partition, int] = {}
    for record in records:
        first[partition_of(record)] = min(offset_of(record), first.get(partition_of(record), offset_of(record)))
    return first


def next_offsets(records: Iterable[Message]) -> dict[Partition, int]:
    """Return the offset after the last record of each partition, of records in order."""
    return {partition_of(record): offset_of(record) + 1 for record in records}


def _usable(messages: Iterable[Message]) -> list[Message]:
    return [message for message in messages if message.error() is None]


def _ends(others: Iterable[Message]) -> dict[Partition, int]:
    """Return the positions at the end of their partitions."""
    ended = [message for message in others if (error := message.error()) and error.code() == KafkaError._PARTITION_EOF]
    return {partition_of(message): offset_of(message) for message in ended}
