"""Side outputs of a batch, sent to Kafka before it is written: dead letters, and misrouted ticks."""

from __future__ import annotations

from collections.abc import Sequence

from services.exit_qualification.ticks.batch import BatchResult, Layout, Refused
from services.exit_qualification.ticks.metrics import RECORDS_REFUSED
from services.exit_qualification.ticks.rerouting import MisroutedTicks
from shared.clock import Clock
from shared.contracts.topics import TopicNames
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.kafka.dead_letters import DeadLetters


class Outgoing:
    """Sends, and waits for Kafka's acknowledgement: only then may the offsets of the records move."""

    def __init__(self, producer: ConfirmedProducer, topics: TopicNames, clock: Clock) -> None:
        self._producer = producer
        self._dead_letters = DeadLetters(producer)
        self._topics = topics
        self._misrouted = MisroutedTicks(producer, clock)

    def send(self, batch: BatchResult, layout: Layout) -> None:
        """Send everything and return once it is acknowledged.

        Raises
        ------
        Unavailable
            The acknowledgement timed out, or Kafka refused a record. Repeated sending is harmless: a repeated tick is
            ignored.
        """
        if not batch.refused and not batch.misrouted:
            return
        self._send_dead_letters(batch.refused)
        self._misrouted.forward(batch.misrouted, layout)
        self._producer.flush()

    def _send_dead_letters(self, refused: Sequence[Refused]) -> None:
        """Send each record, unchanged, to the dead-letter topic with its reason in headers."""
        for each in refused:
            self._dead_letters.put(each.message, each.code, each.reason)
            RECORDS_REFUSED.labels(self._topics.logical(each.message.topic() or ""), each.code).inc()
