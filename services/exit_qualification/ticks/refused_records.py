"""Dead letters of unusable records, with their count."""

from __future__ import annotations

from collections.abc import Sequence

from services.exit_qualification.ticks.batch import Refused
from services.exit_qualification.ticks.metrics import RECORDS_REFUSED
from shared.contracts.topics import TopicNames
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.kafka.dead_letters import DeadLetters


class RefusedRecords:
    """Sends refused records; the caller flushes before it commits their offsets."""

    def __init__(self, producer: ConfirmedProducer, topics: TopicNames) -> None:
        self._dead_letters = DeadLetters(producer)
        self._topics = topics

    def send(self, refused: Sequence[Refused]) -> None:
        """Send each record, unchanged, to the dead-letter topic with its reason in headers."""
        for each in refused:
            self._dead_letters.put(each.message, each.code, each.reason)
            RECORDS_REFUSED.labels(self._topics.logical(each.message.topic() or ""), each.code).inc()
