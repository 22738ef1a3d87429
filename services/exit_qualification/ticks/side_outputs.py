"""What a batch sends to Kafka before it is written: dead letters, and ticks for other partitions."""

from __future__ import annotations

from services.exit_qualification.ticks.batch import Batch, Layout
from services.exit_qualification.ticks.refused_records import RefusedRecords
from services.exit_qualification.ticks.rerouting import MisroutedTicks
from shared.clock import Clock
from shared.contracts.topics import TopicNames
from shared.kafka.confirmed_producer import ConfirmedProducer


class Outgoing:
    """Sends, and waits until Kafka has it: only then may the offsets of the records move."""

    def __init__(self, producer: ConfirmedProducer, topics: TopicNames, clock: Clock) -> None:
        self._producer = producer
        self._refused = RefusedRecords(producer, topics)
        self._misrouted = MisroutedTicks(producer, clock)

    def send(self, batch: Batch, layout: Layout) -> None:
        """Return once everything is acknowledged.

        Raises
        ------
        Unavailable
            It was not in time, or something was refused. What is sent twice after that changes nothing: a tick
            seen again is the same tick.
        """
        if not batch.refused and not batch.misrouted:
            return
        self._refused.send(batch.refused)
        self._misrouted.forward(batch.misrouted, layout)
        self._producer.flush()
