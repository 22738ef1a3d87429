"""Numbered events: events on Kafka by topic, key and sequence, and whether the outbox's own service signed them."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Message

from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS, OPERATIONS_CONTROLS, TRADES, TopicNames
from shared.kafka.clients import headers_of
from shared.outbox.signatures import TrustedKeys, UntrustedEvent, exit_event_keys, trade_event_keys
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.settings import Settings

Order = tuple[str, str]
"""Topic, as the cluster names it, and key."""

LARGEST_SEQUENCE = 2**62

_PUBLISHED_BY = {
    EXIT_QUALIFICATION: (EXIT_SIGNALS, EXIT_INTENTS, OPERATIONS_CONTROLS),
    TRADE_MANAGEMENT: (TRADES,),
}


def published_topics(schema: str, settings: Settings) -> list[str]:
    """Return the topics of a schema's outbox, as the cluster names them."""
    names = TopicNames(settings.kafka_topic_prefix)
    return [names.on_cluster(topic) for topic in _PUBLISHED_BY[schema]]


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event on Kafka with a sequence."""

    record: Message
    topic: str
    key: str
    sequence: int
    event_id: str

    @property
    def order(self) -> Order:
        """Return the scope of its sequence."""
        return self.topic, self.key


def numbered_event(record: Message) -> NumberedEvent | None:
    """Return a record's event; None if it has no id, key or valid sequence."""
    headers, key = headers_of(record), record.key()
    sequence, event_id = headers.get("ce_sequence", ""), headers.get("ce_id")
    if not event_id or not isinstance(key, bytes) or not (sequence.isascii() and sequence.isdigit()):
        return None
    if len(sequence) > len(str(LARGEST_SEQUENCE)) or int(sequence) > LARGEST_SEQUENCE:
        return None
    return NumberedEvent(record, record.topic() or "", key.decode("utf-8", "replace"), int(sequence), event_id)


class Authorship:
    """Tells the events of an outbox's service from records of others; without keys, every record counts."""

    def __init__(self, schema: str, settings: Settings) -> None:
        self._keys = _trusted_keys(schema, settings)

    def is_ours(self, event: NumberedEvent) -> bool:
        """Return True unless the event bears no signature of a trusted key."""
        if self._keys is None:
            return True
        try:
            self._keys.verify(event.record, headers_of(event.record))
        except UntrustedEvent:
            return False
        return True


def _trusted_keys(schema: str, settings: Settings) -> TrustedKeys | None:
    if schema == EXIT_QUALIFICATION:
        return exit_event_keys(settings) if settings.exit_event_keys else None
    return trade_event_keys(settings) if settings.trade_event_keys else None
