"""Offsets committed to Kafka for monitoring tools; exit-ticks never reads them back."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.ticks.batch import Layout
from shared.clock import Clock

log = logging.getLogger(__name__)

EVERY_S = 1.0


class GroupOffsets:
    """Commits once a second."""

    def __init__(self, consumer: Consumer, layout: Layout, clock: Clock) -> None:
        self._consumer = consumer
        self._layout = layout
        self._clock = clock
        self._next_s = 0.0
        self._committed: dict[int, Checkpoint] = {}

    def commit(self, held: Mapping[int, Checkpoint]) -> None:
        """Commit the position of each moved partition, at most once per interval."""
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        positions = [
            TopicPartition(topic, partition, offset)
            for partition, checkpoint in held.items()
            if self._committed.get(partition) != checkpoint
            for topic, offset in (
                (self._layout.ticks, checkpoint.tick_offset),
                (self._layout.trades, checkpoint.trade_offset),
            )
        ]
        if not positions:
            return
        try:
            self._consumer.commit(offsets=positions, asynchronous=True)
            self._committed = dict(held)
        except KafkaException as error:
            log.info("cannot commit the group's offsets, retrying: %s", error.args[0].str())
