"""The loop of trade-fills: records in, effects committed, then their offsets."""

from __future__ import annotations

import logging

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from sqlalchemy.exc import SQLAlchemyError

from services.trade_management.fills.batch import FillBatches
from services.trade_management.fills.offsets import Offsets, Partition, partition_of
from services.trade_management.telemetry import BATCH_SECONDS
from shared.clock import Clock
from shared.database_failures import reason
from shared.errors import ExitflowError
from shared.health import Health
from shared.process import Stop

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
POLL_S = 0.5
LOOK_AROUND_S = 5.0
METADATA_TIMEOUT_S = 2.0
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 5.0

KAFKA = "kafka"
FILLS = "fills"


class FillConsumer:
    """Consumes a topic of intent events until told to stop.

    At least once: offsets are committed only after the transaction of their effects. A batch that fails is
    stepped back to and delivered again after a back-off, so that the consumer keeps polling and stays in its
    group. All work happens between polls, and partitions move only inside one: what was in hand of a partition
    that moved meanwhile is dropped, for its next owner reads it again.
    """

    def __init__(
        self, consumer: Consumer, topic: str, batches: FillBatches, health: Health, clock: Clock, stop: Stop
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._batches = batches
        self._health = health
        self._clock = clock
        self._stop = stop
        self._offsets = Offsets(consumer)
        self._failures = 0
        self._looked_at: float | None = None
        self._revoked_since_first: set[Partition] = set()

    def run(self) -> None:
        """Consume until `stop` is set, then leave the group."""
        self._consumer.subscribe([self._topic], on_revoke=self._revoked, on_lost=self._revoked)
        try:
            while not self._stop.is_set():
                self._step()
        finally:
            self._consumer.close()

    def _step(self) -> None:
        self._health.alive(FILLS)
        self._look_around()
        try:
            records = self._poll()
            self._work(records)
            self._offsets.commit()
        except KafkaException as error:
            self._health.problem(KAFKA, error.args[0].str())
            self._back_off(f"Kafka: {error.args[0].str()}")

    def _poll(self) -> list[Message]:
        """The next record as soon as there is one, and whatever else has arrived with it."""
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        self._revoked_since_first.clear()
        arrived = [first, *self._consumer.consume(BATCH_RECORDS - 1, 0)]
        for message in arrived:
            if (error := message.error()) is not None:
                self._health.problem(KAFKA, error.str())
                log.warning("Kafka: %s", error.str())
        return self._still_ours([message for message in arrived if message.error() is None])

    def _still_ours(self, records: list[Message]) -> list[Message]:
        """Without the records of partitions revoked since the first was taken; should one be ours again, step back."""
        moved = [record for record in records if partition_of(record) in self._revoked_since_first]
        if not moved:
            return records
        self._offsets.step_back(moved)
        return [record for record in records if partition_of(record) not in self._revoked_since_first]

    def _work(self, records: list[Message]) -> None:
        if not records:
            return
        began = self._clock.monotonic()
        try:
            self._batches.apply(records)
        except (SQLAlchemyError, ExitflowError, KafkaException) as error:
            self._offsets.step_back(records)
            self._health.problem(FILLS, _what(error))
            self._back_off(f"{len(records)} records wait: {_what(error)}")
            return
        self._failures = 0
        self._health.fine(FILLS)
        self._offsets.done(records)
        BATCH_SECONDS.observe(self._clock.monotonic() - began)

    def _back_off(self, why: str) -> None:
        wait_s = min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        log.warning("%s; again in %.1f s", why, wait_s)
        self._stop.wait(wait_s)

    def _look_around(self) -> None:
        """Every few seconds, ask Kafka for the topic: an idle consumer would not notice that it is gone."""
        now = self._clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < LOOK_AROUND_S:
            return
        self._looked_at = now
        try:
            topic = self._consumer.list_topics(self._topic, timeout=METADATA_TIMEOUT_S).topics[self._topic]
        except KafkaException as error:
            self._health.problem(KAFKA, error.args[0].str())
            return
        if topic.error is not None:
            self._health.problem(KAFKA, f"{self._topic}: {topic.error.str()}")
        else:
            self._health.fine(KAFKA)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._offsets.forget(partitions)
        self._revoked_since_first.update((each.topic, each.partition) for each in partitions)
        # Records that waited here wait for the next owner now.
        self._health.fine(FILLS)


def _what(error: SQLAlchemyError | ExitflowError | KafkaException) -> str:
    """What failed, without statements, parameters or anything else that may hold a secret."""
    match error:
        case ExitflowError():
            return str(error)
        case KafkaException():
            return str(error.args[0].str())
        case _:
            return f"the database does not take them ({reason(error)})"
