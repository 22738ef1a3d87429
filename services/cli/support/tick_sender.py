"""Ticks onto ``market.ticks.v1``, each on the partition of its symbol."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, Message, Producer

from shared.contracts.ticks import Tick
from shared.contracts.topics import MARKET_TICKS, TopicNames
from shared.errors import Unavailable
from shared.kafka.clients import flush_or_fail, hand_over, producer_config
from shared.settings import Settings

DELIVERY_LIMIT_S = 20
FLUSH_MARGIN_S = 5

_SILENT = logging.getLogger(f"{__name__}.librdkafka")
"""Texts of the client library while it tries again; their outcome is told in one line."""
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class TickSender:
    """Sends ticks in order and knows how many have arrived; once one has not, it sends no more.

    Parameters
    ----------
    delivery_limit_s:
        A tick not taken by Kafka by then counts as refused.
    """

    def __init__(self, settings: Settings, delivery_limit_s: float = DELIVERY_LIMIT_S) -> None:
        self._delivery_limit_s = delivery_limit_s
        # A price is worth most at once; while Kafka works on a batch, the next one gathers.
        own = {"message.timeout.ms": int(delivery_limit_s * 1000), "linger.ms": 0}
        self._producer = Producer({**producer_config(settings), **own}, logger=_SILENT)
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
        value = tick.model_dump_json().encode()
        hand_over(
            self._producer, self._topic, self._raise_failure, key=tick.symbol, value=value, on_delivery=self._delivered
        )
        self._producer.poll(0)

    def flush(self) -> None:
        """Return once every tick handed over has arrived; Unavailable if one has not."""
        flush_or_fail(self._producer, self._delivery_limit_s + FLUSH_MARGIN_S)
        self._raise_failure()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.sent += 1
        else:
            self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise Unavailable(f"Kafka did not take a tick: {self._failure.str()}; {self.sent} arrived before")
