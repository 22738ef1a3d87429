"""Records that nobody can act upon go to the dead letters of their topic."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from confluent_kafka import Producer

from services.exit_qualification.ticks.batch import Refused
from services.exit_qualification.ticks.tick_metrics import RECORDS_REFUSED
from shared.contracts.topics import TopicNames
from shared.kafka import send_to_dead_letters

log = logging.getLogger(__name__)


class DeadLetters:
    """Hands refused records over; the caller flushes before it commits their offsets."""

    def __init__(self, producer: Producer, topics: TopicNames) -> None:
        self._producer = producer
        self._topics = topics

    def send(self, refused: Sequence[Refused]) -> None:
        """Put each record, unchanged, on the dead-letter topic with its reason in headers."""
        for each in refused:
            send_to_dead_letters(self._producer, each.message, code=each.code, reason=each.reason)
            RECORDS_REFUSED.labels(self._topics.logical(each.message.topic() or ""), each.code).inc()
        if refused:
            log.warning("%d records refused, the first: %s", len(refused), refused[0].reason)
