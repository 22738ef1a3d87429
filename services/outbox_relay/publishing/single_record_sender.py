"""Send single records, at most one per key, and report each result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.outbox_relay.publishing.topic_layouts import PartitionOf, any_partition
from shared.kafka.client_logging import CLIENT_LOG
from shared.kafka.clients import Headers, producer_config
from shared.settings import Settings

MISSING_AFTER_MS = 1000
"""A topic unknown to the cluster for so long is missing."""


class Record(NamedTuple):
    """A Kafka record."""

    topic: str
    key: str
    payload: bytes
    headers: Headers


class SingleRecordSender:
    """A producer still usable after rejections, opened on first use.

    It is not idempotent: a gapless idempotent producer ends with the first rejection, and a new one needs half a second
    to start. With one record per key in flight no order can be lost; a retry may duplicate a record.
    """

    def __init__(
        self,
        settings: Settings,
        on_refused: Callable[[KafkaError], None],
        partition_of: PartitionOf = any_partition,
    ) -> None:
        self._settings = settings
        self._partition_of = partition_of
        self._on_refused = on_refused
        self._producer: Producer | None = None
        self._answers: list[KafkaError | None] = []
        self._awaited = 0

    def send(self, records: Sequence[Record]) -> None:
        """Send these, no two of the same topic and key; only when nothing is under way."""
        assert not self.is_busy(), "one journey at a time"
        self._answers = [None] * len(records)
        self._awaited = len(records)
        for nth, record in enumerate(records):
            self._send(nth, record)

    def is_busy(self) -> bool:
        """Return True until Kafka has answered for every record."""
        return self._awaited > 0

    def poll(self, wait_s: float = 0) -> None:
        """Process available delivery reports."""
        if self._producer is not None and self._awaited:
            self._producer.poll(wait_s)

    def answers(self) -> list[KafkaError | None]:
        """Return Kafka's result for each record: None for success."""
        return self._answers

    def flush(self, limit_s: float) -> None:
        """Wait for the answers, at most so many seconds."""
        if self._producer is not None:
            self._producer.flush(limit_s)

    def throw_away(self) -> None:
        """Stop sending; records on the wire may still arrive."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None

    def _send(self, nth: int, record: Record) -> None:
        def reported(error: KafkaError | None, _: Message) -> None:
            self._answered(nth, error)

        topic, key, payload, headers = record
        try:
            partition = self._partition_of(topic, key)
            self._open().produce(topic, payload, key, partition, on_delivery=reported, headers=headers)
        except KafkaException as error:
            self._answered(nth, error.args[0])

    def _answered(self, nth: int, error: KafkaError | None) -> None:
        self._answers[nth] = error
        self._awaited -= 1
        if error is not None:
            self._on_refused(error)

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **producer_config(self._settings),
                    "enable.idempotence": False,
                    "message.timeout.ms": 0,
                    "linger.ms": 0,
                    "allow.auto.create.topics": False,
                    "topic.metadata.propagation.max.ms": MISSING_AFTER_MS,
                },
                logger=CLIENT_LOG,
            )
        return self._producer
