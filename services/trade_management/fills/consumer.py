"""Consumer loop of trade-fills: reads records, commits their effects, then their offsets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from services.trade_management.fills.intent_log import IntentLog
from services.trade_management.fills.lanes import FillLanes
from services.trade_management.metrics import BATCH_SECONDS
from services.trade_management.report_judging import CONSUMER
from shared.back_off import BackOff
from shared.clock import Clock
from shared.errors import ExitflowError
from shared.kafka.consuming import (
    ConsumerLoop,
    Step,
    WatchedConsumer,
    first_offsets,
    next_offsets,
    offset_of,
    partition_of,
    shown,
)
from shared.kafka.gap_report import GapReport
from shared.kafka.topic_watch import TopicsChanged
from shared.kafka.topics import ANSWER_S, Partition, bounds_of
from shared.postgres.failures import DATABASE_FAILURES
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

MOST_RECORDS = 10_000
"""Records of a step: ten batches of each lane. Between steps both lanes stand still."""
MOST_STEP_S = 60.0
"""Time after which no further batch of a step is begun. If each of its records then has to wait for a lock, the next
poll still comes within the 300 s after which Kafka gives the partitions to others."""
POLL_S = 0.5
QUIET_S = 0.05
"""Offsets are committed once nothing came for so long: an exit sends several events within milliseconds, and the last
one must not wait for the commit of the first."""
COMMIT_S = 1.0
"""Longest time until the offsets of applied records are committed, while records keep coming."""

OnRecords = Callable[[Sequence[Message]], None]

FILLS = "fills"
"""Health condition of the loop: the last batch was applied."""

ADVICE = (
    "run `exitflow trades reconcile` (it acknowledges the gap once nothing is missing) or "
    "`exitflow gaps acknowledge trade-fills --reason …`"
)


class FillConsumer:
    """Consumes intent events until stopped; joins the group again after a failure.

    A replaced topic, or one with records removed unread, is read from its current beginning; the inbox makes this
    safe. Missed records are stored as a gap, and the process is not ready until the gap is acknowledged.

    Parameters
    ----------
    on_records:
        Called with the records of each poll, before they are applied.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        topic: str,
        lanes: FillLanes,
        health: Health,
        clock: Clock,
        on_records: OnRecords | None = None,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._health = health
        self._clock = clock
        self._on_records = on_records
        self._log = IntentLog(settings, engine, topic)
        self._gaps = GapReport(engine, CONSUMER, health, clock, ADVICE)

    def run(self, stop: Stop) -> None:
        """Consume until `stop` is set, then leave the group."""
        loop = ConsumerLoop(self._health, self._clock, self._settings.kafka_watch_s, DATABASE_FAILURES)
        loop.run(lambda: self._join(stop), stop, FILLS)

    @contextmanager
    def _join(self, stop: Stop) -> Iterator[Step]:
        self._gaps.show()
        topics = self._log.begin()
        with WatchedConsumer(self._settings, CONSUMER, topics, self._health, self._clock) as consumer:
            membership = FillMembership(
                consumer, self._log, self._lanes, self._gaps, self._health, self._clock, stop, self._on_records
            )
            membership.subscribe()
            try:
                yield membership.step
                membership.finish()
            except TopicsChanged as error:
                self._log.changed(error.changes)
                raise


class FillMembership:
    """One membership of the group.

    Delivery is at least once: offsets are committed only after the transaction of their effects, at most `COMMIT_S`
    later; the inbox recognises records read again. After a failed batch the consumer seeks back and retries with
    back-off, polls on and stays in its group. All work happens between polls, and partitions move only inside a poll.
    Records of a moved partition are dropped, because its next owner reads them again.
    """

    def __init__(
        self,
        consumer: WatchedConsumer,
        log_: IntentLog,
        lanes: FillLanes,
        gaps: GapReport,
        health: Health,
        clock: Clock,
        stop: Stop,
        on_records: OnRecords | None = None,
    ) -> None:
        self._consumer = consumer
        self._log = log_
        self._lanes = lanes
        self._gaps = gaps
        self._health = health
        self._clock = clock
        self._stop = stop
        self._on_records = on_records
        self._back_off = BackOff()
        self._done: dict[Partition, int] = {}
        self._commit_by_s: float | None = None
        self._waiting: list[TopicPartition] | None = None
        self._revoked: set[Partition] = set()

    def subscribe(self) -> None:
        """Join the group; partitions are assigned and revoked during polls."""
        self._consumer.consumer.subscribe(
            list(self._consumer.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def step(self) -> None:
        """Apply the records of one poll, and commit offsets when it is time.

        Raises
        ------
        TopicsChanged, KafkaException, SQLAlchemyError
            The membership has ended; join again.
        """
        self._health.alive(FILLS)
        self._gaps.show()
        self._revoked.clear()
        records = self._consumer.take(MOST_RECORDS, QUIET_S if self._done else POLL_S)
        if self._on_records is not None:
            self._on_records(records)
        if self._waiting is not None:
            self._take_up(self._waiting)
        if self._work(self._still_ours(records)) and self._is_commit_due(anything_came=bool(records)):
            self._commit()

    def finish(self) -> None:
        """Commit the offsets before leaving the group: the next owner reads nothing again."""
        self._commit()

    def _is_commit_due(self, *, anything_came: bool) -> bool:
        now_s = self._clock.monotonic()
        if self._done and self._commit_by_s is None:
            self._commit_by_s = now_s + COMMIT_S
        return not anything_came or (self._commit_by_s is not None and now_s >= self._commit_by_s)

    def _take_up(self, assigned: list[TopicPartition]) -> None:
        """Resume each partition at its committed offset, or at its beginning, and record missing records."""
        committed = self._consumer.consumer.committed(assigned, timeout=ANSWER_S)
        stored = {(each.topic, each.partition): each.offset if each.offset >= 0 else None for each in committed}
        positions = self._log.resume(stored, bounds_of(self._consumer.admin, list(stored)))
        self._consumer.assign(positions)
        self._waiting = None
        # Stored even before any reading: records removed from now on count as missed.
        self._done |= positions

    def _still_ours(self, records: list[Message]) -> list[Message]:
        """Return the records without those of partitions revoked since they were read."""
        if not self._revoked:
            return records
        if moved := [record for record in records if partition_of(record) in self._revoked]:
            self._consumer.seek(first_offsets(moved))
        return [record for record in records if partition_of(record) not in self._revoked]

    def _work(self, records: list[Message]) -> bool:
        """Apply the records; return False if they have to wait. What a step is too short for is read again."""
        if not records:
            return True
        began_s = self._clock.monotonic()
        try:
            with closing(self._lanes.apply(records)) as batches:
                for batch in batches:
                    self._note_applied(batch, began_s)
                    if self._clock.monotonic() - began_s >= MOST_STEP_S:
                        break
        except (SQLAlchemyError, ExitflowError, KafkaException) as error:
            left = self._read_rest_again(records)
            self._health.problem(FILLS, shown(error))
            log.warning("%d records wait: %s", left, shown(error))
            self._back_off.wait(self._stop)
            return False
        self._read_rest_again(records)
        return True

    def _read_rest_again(self, records: Sequence[Message]) -> int:
        """Seek back to the records of a step not applied; return their number."""
        left = [record for record in records if offset_of(record) >= self._done.get(partition_of(record), 0)]
        if left:
            self._consumer.seek(first_offsets(left))
        return len(left)

    def _note_applied(self, batch: Sequence[Message], began_s: float) -> None:
        self._back_off.reset()
        self._health.fine(FILLS)
        self._done |= next_offsets(batch)
        BATCH_SECONDS.observe(self._clock.monotonic() - began_s)

    def _commit(self) -> None:
        """Commit the offsets of applied records; retry a failed commit with the next step.

        Kafka accepts no commit during a rebalance. The next poll then shows the partitions still assigned to us.
        """
        if not self._done:
            return
        positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._done.items()]
        try:
            self._consumer.consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            self._health.problem(FILLS, f"cannot commit offsets: {shown(error)}")
            log.warning("cannot commit offsets, retrying: %s", shown(error))
            self._back_off.wait(self._stop)
            return
        self._done.clear()
        self._commit_by_s = None
        self._back_off.reset()
        self._health.fine(FILLS)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        consumer.assign([])  # read nothing until the start offset is known
        self._waiting = assigned

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._waiting = None
        self._consumer.revoked()
        self._revoked.update((each.topic, each.partition) for each in partitions)
        for each in self._revoked:
            self._done.pop(each, None)
        # The next owner reads these records again.
        self._health.fine(FILLS)
