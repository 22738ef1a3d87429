"""Producing where nothing may be lost: whoever flushes learns of every refusal."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from shared.errors import Unavailable
from shared.kafka.clients import FLUSH_TIMEOUT_S, hand_over
from shared.wording import plural


class ConfirmedProducer:
    """A producer; `flush` raises if Kafka rejected a record, as the client's own flush does not."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._refusal: str | None = None

    def send(self, topic: str, **record: Any) -> None:
        """Hand a record over, as `Producer.produce` takes it; certain only after `flush`."""
        hand_over(self._producer, topic, on_delivery=self._delivered, **record)

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Return once Kafka has acknowledged everything produced since the last flush.

        Raises
        ------
        Unavailable
            It has not, or it refused some; all of it must be handed over again.
        """
        left = self._producer.flush(timeout_s)
        refusal, self._refusal = self._refusal, None
        if left:
            self._producer.purge()
            raise Unavailable(f"Kafka has not acknowledged {plural(left, 'record')} within {timeout_s} s")
        if refusal is not None:
            raise Unavailable(f"Kafka refused a record for {refusal}")

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        if error is not None:
            self._refusal = f"{record.topic()}: {error.str()}"
