"""Side outputs of a batch, sent to Kafka before it is written: dead letters, and misrouted ticks."""

from __future__ import annotations

from services.exit_qualification.ticks.batch import BatchResult, Layout
from services.exit_qualification.ticks.refused_records import RefusedRecords
from services.exit_qualification.ticks.rerouting import MisroutedTicks
from shared.clock import Clock
from shared.contracts.topics import TopicNames
from shared.kafka.confirmed_producer import ConfirmedProducer


class Outgoing:
    """Sends, and waits for Kafka's acknowledgement: only then may the offsets of the records move."""

    def __init__(self, producer: ConfirmedProducer, topics: TopicNames, clock: Clock) -> None:
        self._producer = producer
        self._refused = RefusedRecords(producer, topics)
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
        self._refused.send(batch.refused)
        self._misrouted.forward(batch.misrouted, layout)
        self._producer.flush()
