"""Dead letters: records with an error in processing, kept for operators."""

from __future__ import annotations

import logging

from confluent_kafka import Message

from shared.contracts.topics import dead_letter_topic
from shared.kafka.clients import Headers, headers_of, raw_headers
from shared.kafka.confirmed_producer import ConfirmedProducer
from shared.runtime.trace import in_trace, valid_traceparent

log = logging.getLogger(__name__)

LONGEST_REASON = 2000
LARGEST_RECORD_BYTES = 900_000
"""Value, key and headers; a larger record goes as a stub with the record's place in its topic."""


class DeadLetters:
    """The dead-letter topics of a consumer: records unchanged, the reason in headers."""

    def __init__(self, producer: ConfirmedProducer) -> None:
        self._producer = producer

    def put(self, record: Message, code: str, reason: str) -> None:
        """Produce a record; flush the producer before committing the offset to be certain."""
        reason = reason[:LONGEST_REASON]
        traced = in_trace(valid_traceparent(headers_of(record).get("traceparent")))
        log.warning("%s-%s@%s: %s: %s", record.topic(), record.partition(), record.offset(), code, reason, extra=traced)
        whole = _size(record) <= LARGEST_RECORD_BYTES
        self._producer.send(
            dead_letter_topic(record.topic() or ""),
            value=record.value() if whole else None,
            key=record.key() if whole else None,
            headers=[*(raw_headers(record) if whole else []), *_why(record, code, reason)],
        )

    def flush(self) -> None:
        """Return once Kafka has acknowledged every record.

        Raises
        ------
        Unavailable
            It has not, or it refused some; the records must be handed over again.
        """
        self._producer.flush()


def _why(record: Message, code: str, reason: str) -> Headers:
    source = {
        "dlq_topic": record.topic() or "",
        "dlq_partition": str(record.partition()),
        "dlq_offset": str(record.offset()),
        "dlq_code": code,
        "dlq_reason": reason,
    }
    return [(name, value.encode("utf-8", "replace")) for name, value in source.items()]


def _size(record: Message) -> int:
    in_headers = sum(len(name) + len(value or b"") for name, value in raw_headers(record))
    return len(record.value() or b"") + len(record.key() or b"") + in_headers
