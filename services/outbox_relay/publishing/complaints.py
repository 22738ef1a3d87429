"""Complaints of Kafka's client in the log."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError

from shared.clock import Clock
from shared.kafka.client_logging import Ration

log = logging.getLogger(__name__)


class Complaints:
    """Rate-limited log of librdkafka's errors; fatal ones are always logged."""

    def __init__(self, clock: Clock) -> None:
        self._ration = Ration(clock)

    def hear(self, error: KafkaError) -> None:
        """Log it, or count it."""
        withheld = self._ration.take("error", urgent=error.fatal())
        if withheld is not None:
            log.warning("Kafka: %s%s", error.str(), f" ({withheld} more errors before)" if withheld else "")
