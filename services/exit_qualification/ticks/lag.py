"""Lag as operators see it: a gauge, and offsets committed to Kafka that nothing here ever reads back."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from services.exit_qualification.storage.tick_checkpoints import Checkpoint
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.tick_metrics import TICK_LAG
from shared.clock import Clock
from shared.health import Health

log = logging.getLogger(__name__)

EVERY_S = 1.0
ANSWER_LIMIT_S = 1.0
CONDITION = "kafka"


class LagReport:
    """Reports once a second where the worker stands, and whether the cluster answers while nothing arrives."""

    def __init__(self, consumer: Consumer, layout: Layout, clock: Clock, health: Health) -> None:
        self._consumer = consumer
        self._layout = layout
        self._clock = clock
        self._health = health
        self._next_s = 0.0

    def report(self, held: Mapping[int, Checkpoint], *, quiet: bool) -> None:
        """Report if it is time to; `quiet` if no record arrived in this poll."""
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + EVERY_S
        try:
            if quiet:
                self._consumer.list_topics(self._layout.ticks, timeout=ANSWER_LIMIT_S)
            self._report(held)
            self._health.fine(CONDITION)
        except KafkaException as error:
            self._health.problem(CONDITION, str(error))

    def _report(self, held: Mapping[int, Checkpoint]) -> None:
        positions = []
        TICK_LAG.clear()
        for partition, checkpoint in held.items():
            ticks = TopicPartition(self._layout.ticks, partition, checkpoint.tick_offset)
            trades = TopicPartition(self._layout.trades, partition, checkpoint.trade_offset)
            positions += [ticks, trades]
            TICK_LAG.labels(partition).set(self._behind(ticks) + self._behind(trades))
        if positions:
            self._consumer.commit(offsets=positions, asynchronous=True)

    def _behind(self, position: TopicPartition) -> int:
        bounds = self._consumer.get_watermark_offsets(position, cached=True)
        return 0 if bounds is None else max(0, bounds[1] - position.offset)
