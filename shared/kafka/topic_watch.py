"""TopicWatch: detects, beside a consumer's loop, topics changed since it joined."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared.clock import Clock
from shared.errors import Unavailable
from shared.kafka.topics import ANSWER_S, Partition, TopicState, beginnings_of, describe, ends_of
from shared.runtime.health import Health
from shared.runtime.telemetry import counter, gauge

log = logging.getLogger(__name__)

CONDITION = "kafka"
"""Condition of a consumer: the cluster answers and its topics are unchanged."""

STALL_S = 10.0
"""Empty polls for so long, while records wait, mean that reading has stopped."""

BUSY_STALL_S = 120.0
"""As long for one partition while others bring records: the others' fetched records are delivered first."""

MISSING_LOOKS = 2
"""A topic is missing after so many looks in a row; a broker just started may not know it yet."""

LAG = gauge("consumer_lag_records", "records of a partition not yet acted upon", "topic", "partition")
FETCHED_AT = gauge("consumer_last_fetch_timestamp_seconds", "when the cluster last delivered anything to this consumer")
CHANGES = counter("consumer_topic_changes", "changes of a topic noticed by its consumer", "change")
RECORDS_MISSED = counter("consumer_records_missed", "records removed before they were read", "topic")


class Change(StrEnum):
    """Kinds of changes."""

    MISSING = "topic_missing"
    REPLACED = "topic_replaced"
    REPARTITIONED = "partitions_changed"
    BEYOND_END = "position_beyond_end"
    REMOVED = "records_removed"
    STALLED = "reading_stalled"


@dataclass(frozen=True, slots=True)
class TopicChange:
    """One change.

    Attributes
    ----------
    missed:
        Records gone unread for certain; at least so many.
    """

    kind: Change
    topic: str
    what: str
    missed: int = 0
    partition: int | None = None
    position: int | None = None


class TopicsChanged(Unavailable):
    """The topics changed: leave the group; joining again decides how to continue."""

    code = "topics_changed"

    def __init__(self, changes: Sequence[TopicChange]) -> None:
        super().__init__("; ".join(change.what for change in changes))
        self.changes = tuple(changes)


class Positions:
    """A consumer's positions; written by its loop, read by its watch.

    A delivered record counts as processed once the loop asks for the next ones.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._delivered: dict[Partition, int] = {}
        self._acted_upon: dict[Partition, int] = {}
        self._delivered_at: dict[Partition, float] = {}
        self._polled_at = 0.0
        self._quiet_since: float | None = None
        self.is_assigned = False

    def assign(self, positions: Mapping[Partition, int]) -> None:
        """Replace the assignment; reading begins at these offsets."""
        with self._lock:
            self._clear_lag(set(self._delivered) - set(positions))
            self._delivered, self._acted_upon = dict(positions), dict(positions)
            self._delivered_at = dict.fromkeys(positions, self._clock.monotonic())
            self._quiet_since, self.is_assigned = None, True

    def revoke(self) -> None:
        """Drop the assignment; nothing is assigned until `assign`."""
        with self._lock:
            self._clear_lag(self._delivered)
            self._delivered, self._acted_upon, self._delivered_at = {}, {}, {}
            self._quiet_since, self.is_assigned = None, False

    def polling(self) -> None:
        """Mark all delivered records as processed: the loop asks for more."""
        with self._lock:
            self._acted_upon.update(self._delivered)
            self._polled_at = self._clock.monotonic()

    def delivered(self, positions: Mapping[Partition, int]) -> None:
        """Note the offsets after the delivered records; empty if the poll returned nothing."""
        now = self._clock.monotonic()
        with self._lock:
            held = {each: at for each, at in positions.items() if each in self._delivered}
            self._delivered.update(held)
            self._delivered_at.update(dict.fromkeys(held, now))
            if positions:
                self._quiet_since = None
                FETCHED_AT.set(self._clock.now().timestamp())
            elif self._quiet_since is None:
                self._quiet_since = now

    def step_back(self, positions: Mapping[Partition, int]) -> None:
        """Note a restart of delivery from these offsets."""
        with self._lock:
            for held in (self._delivered, self._acted_upon):
                held.update({each: at for each, at in positions.items() if each in held})
            self._quiet_since = None

    def snapshot(self) -> dict[Partition, int]:
        """Return each partition's next offset."""
        with self._lock:
            return dict(self._delivered)

    def acted_upon(self) -> dict[Partition, int]:
        """Return each partition's offset after its last processed record."""
        with self._lock:
            return dict(self._acted_upon)

    def idle_since(self) -> dict[Partition, float]:
        """Return each partition's last delivery time on the monotonic clock; empty while the loop does not poll."""
        with self._lock:
            is_polled = self._clock.monotonic() - self._polled_at < STALL_S
            return dict(self._delivered_at) if is_polled else {}

    def quiet_s(self) -> float:
        """Return for how long polls have brought nothing, in seconds."""
        with self._lock:
            return 0.0 if self._quiet_since is None else self._clock.monotonic() - self._quiet_since

    def report_lag(self, ends: Mapping[Partition, int]) -> None:
        """Show how far each partition is behind its end."""
        with self._lock:
            for (topic, partition), at in self._acted_upon.items():
                end = ends.get((topic, partition))
                if end is not None:
                    LAG.labels(topic, str(partition)).set(max(0, end - at))

    @staticmethod
    def _clear_lag(partitions: Iterable[Partition]) -> None:
        for topic, partition in partitions:
            LAG.remove(topic, str(partition))


class TopicWatch(AbstractContextManager["TopicWatch"]):
    """Compare topics and positions every `every_s` seconds in a thread while inside.

    It reports the condition `CONDITION`: a problem while the cluster does not answer, fine while partitions are
    assigned and unchanged. A change is kept for the loop and raised by `refuse_changes`.
    """

    def __init__(
        self,
        admin: AdminClient,
        expected: Mapping[str, TopicState],
        positions: Positions,
        health: Health,
        clock: Clock,
        every_s: float,
    ) -> None:
        self._admin = admin
        self._expected = dict(expected)
        self._positions = positions
        self._health = health
        self._clock = clock
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topic-watch", daemon=True)
        self._changes: list[TopicChange] = []
        self._ends: dict[Partition, int] = {}
        self._unseen: dict[str, int] = {}
        self._behind: dict[Partition, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(4 * ANSWER_S)

    def refuse_changes(self) -> None:
        """Return if nothing has changed.

        Raises
        ------
        TopicsChanged
            Something has.
        """
        if self._changes:
            raise TopicsChanged(self._changes)

    def _run(self) -> None:
        while not self._changes:
            try:
                self._take_note(self.look())
            except KafkaException as error:
                self._health.problem(CONDITION, f"Kafka: {error.args[0].str()}")
            if self._stop.wait(self._every_s):
                return

    def _take_note(self, changes: list[TopicChange]) -> None:
        for change in changes:
            CHANGES.labels(change.kind.value).inc()
            log.warning("%s", change.what)
        if changes:
            self._health.problem(CONDITION, str(TopicsChanged(changes)))
            self._changes = changes
        elif self._positions.is_assigned and not self._unseen:
            self._health.fine(CONDITION)

    def look(self) -> list[TopicChange]:
        """Compare once and return the changes.

        Raises
        ------
        KafkaException
            The cluster does not answer.
        """
        states = describe(self._admin, self._expected)
        changes = [
            change
            for topic, expected in self._expected.items()
            if (change := self._compare(topic, expected, states[topic])) is not None
        ]
        if changes or self._unseen:
            return changes
        before = self._positions.snapshot()
        self._ends = ends_of(self._admin, list(before))
        self._positions.report_lag(self._ends)
        return [*self._removed(before), *self._stalled(before)]

    def _compare(self, topic: str, expected: TopicState, state: TopicState | None) -> TopicChange | None:
        if state is None:
            self._unseen[topic] = self._unseen.get(topic, 0) + 1
            if self._unseen[topic] < MISSING_LOOKS:
                return None
            what = f"{topic} does not exist any more"
            return TopicChange(Change.MISSING, topic, what, self._unread(topic))
        self._unseen.pop(topic, None)
        if state.topic_id != expected.topic_id:
            missed = self._unread(topic)
            what = f"{topic} was deleted and created again; at least {missed} records were not read"
            return TopicChange(Change.REPLACED, topic, what, missed)
        if state.partitions != expected.partitions:
            what = f"{topic} has {state.partitions} partitions and had {expected.partitions}"
            return TopicChange(Change.REPARTITIONED, topic, what)
        return None

    def _unread(self, topic: str) -> int:
        """Return how many records of the topic were known and not acted upon."""
        acted_upon = self._positions.acted_upon()
        known = [(end, acted_upon.get(each, end)) for each, end in self._ends.items() if each[0] == topic]
        return sum(max(0, end - at) for end, at in known)

    def _removed(self, before: Mapping[Partition, int]) -> list[TopicChange]:
        """Return partitions whose next record is gone; the positions are current, so never behind the beginnings.

        Beginnings are asked of partitions with unread records alone: nothing unread of the others can be gone.
        """
        beginnings = beginnings_of(self._admin, [each for each, at in before.items() if at < self._ends[each]])
        now = self._positions.snapshot()
        read_from = [(each, now.get(each, beginning), beginning) for each, beginning in beginnings.items()]
        return [removal(each, at, beginning) for each, at, beginning in read_from if at < beginning]

    def _stalled(self, before: Mapping[Partition, int]) -> list[TopicChange]:
        """Return partitions waiting too long for one record while the loop polls."""
        now, idle_since, at_rest = self._clock.monotonic(), self._positions.idle_since(), self._positions.snapshot()
        limit_s = STALL_S if self._positions.quiet_s() >= STALL_S else BUSY_STALL_S
        behind = [each for each, at in before.items() if at_rest.get(each) == at < self._ends[each]]
        self._behind = {each: self._behind.get(each, now) for each in behind}
        return [
            TopicChange(Change.STALLED, each[0], f"{each[0]} partition {each[1]}: reading stopped at {before[each]}")
            for each, since in self._behind.items()
            if now - max(since, idle_since.get(each, now)) >= limit_s
        ]


def removal(partition: Partition, position: int, beginning: int) -> TopicChange:
    """Return the change for records removed unread, from `position` to `beginning`."""
    topic, number = partition
    what = f"{topic} partition {number}: offsets {position} to {beginning - 1} were removed before they were read"
    return TopicChange(Change.REMOVED, topic, what, beginning - position, number)
