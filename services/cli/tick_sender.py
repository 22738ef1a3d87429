"""Ticks onto ``market.ticks.v1``, each on the partition of its symbol."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message

from shared.contracts.ticks import Tick
from shared.contracts.topics import MARKET_TICKS, TopicNames
from shared.errors import Unavailable
from shared.kafka import flush_or_fail, open_producer
from shared.settings import Settings

DELIVERY_LIMIT_MS = 20_000
QUEUE_WAIT_S = 1.0


class TickSender:
    """Sends ticks in order and knows whether all have arrived."""

    def __init__(self, settings: Settings) -> None:
        self._producer = open_producer(settings, message_timeout_ms=DELIVERY_LIMIT_MS)
        self._topic = TopicNames(settings.kafka_topic_prefix).on_cluster(MARKET_TICKS)
        self._failure: KafkaError | None = None
        self.sent = 0

    def send(self, tick: Tick) -> None:
        """Hand a tick over; waits while the queue is full.

        Raises
        ------
        Unavailable
            An earlier tick could not be delivered.
        """
        self._raise_failure()
        while not self._enqueued(tick):
            self._producer.poll(QUEUE_WAIT_S)
            self._raise_failure()
        self._producer.poll(0)

    def flush(self) -> None:
        """Return once every tick handed over has arrived; Unavailable if one has not."""
        flush_or_fail(self._producer)
        self._raise_failure()

    def _enqueued(self, tick: Tick) -> bool:
        try:
            self._producer.produce(
                self._topic, key=tick.symbol, value=tick.model_dump_json().encode(), on_delivery=self._delivered
            )
        except BufferError:
            return False
        return True

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.sent += 1
        else:
            self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise Unavailable(f"Kafka did not take a tick: {self._failure.str()}; {self.sent} arrived before")
