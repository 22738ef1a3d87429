"""The topic exits.intents.v1 of a test's environment: records put on it, dead letters read back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from sqlalchemy import Engine

from services.trade_management.fills.process import fill_consumer, waiting_fills
from shared.clock import SystemClock
from shared.contracts.exits import ExitIntentEvent
from shared.contracts.topics import EXIT_INTENTS, TopicNames, dead_letter_topic
from shared.ids import new_id
from shared.kafka.clients import Headers, flush_or_fail, headers_of, open_consumer, open_producer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.support.signing import signed
from tests.support.waiting import LIMIT_S, wait_until

READ_S = 0.2
KAFKA_ANSWERS_S = 5

log = logging.getLogger(__name__)


class IntentsTopic:
    """Puts records where the relay would."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = TopicNames(settings.kafka_topic_prefix).on_cluster(EXIT_INTENTS)
        self._producer = open_producer(settings)
        self._group = open_consumer(settings, "trade-fills")  # looks at the group's offsets, never joins it

    def close(self) -> None:
        """Leave the broker alone."""
        self._group.close()
        del self._producer

    def tell(self, *events: ExitIntentEvent, event_id: UUID | None = None) -> None:
        """Publish events, each under `event_id` or an id of its own."""
        for event in events:
            headers = {"ce_id": str(event_id or new_id()), "ce_type": event.event_type()}
            self.put(event.payload(), headers, key=event.key)

    def tell_on(self, partition: int, event: ExitIntentEvent) -> None:
        """Publish an event on this partition."""
        told = {"ce_id": str(new_id()), "ce_type": event.event_type()}
        headers: Headers = list(signed(self.name, event.key, event.payload(), told).items())
        self._producer.produce(self.name, event.payload(), event.key, partition, headers=headers)
        flush_or_fail(self._producer)

    def put(self, value: bytes | None, headers: dict[str, str], key: str = "k") -> None:
        """Publish a record as exit qualification would sign it."""
        self.put_as_it_is(value, signed(self.name, key, value, headers), key)

    def put_as_it_is(self, value: bytes | None, headers: dict[str, str], key: str = "k") -> None:
        """Publish a record as any client of Kafka could."""
        self._producer.produce(self.name, value=value, key=key, headers=list(headers.items()))
        flush_or_fail(self._producer)

    def dead_letters(self) -> list[tuple[bytes | None, dict[str, str]]]:
        """Every dead letter so far: value and headers."""
        return [(record.value(), headers_of(record)) for record in self._read(dead_letter_topic(self.name))]

    def everything_is_consumed(self) -> bool:
        """True if the group has committed the end of every partition; False too while Kafka cannot say."""
        partitions = self._partitions(self.name)
        try:
            ends = [_end(self._group, each) for each in partitions]
            committed = [each.offset for each in self._group.committed(partitions, timeout=KAFKA_ANSWERS_S)]
        except KafkaException as error:
            log.info("asked too early: %s", error)
            return False
        return all(end == 0 or offset == end for end, offset in zip(ends, committed, strict=True))

    def wait_until_consumed(self, limit_s: float = LIMIT_S) -> None:
        """Return once every record so far is acted upon and its offset committed."""
        wait_until(self.everything_is_consumed, "the group commits the end of the topic", limit_s)

    def rewind(self) -> None:
        """Have the whole topic delivered to the group again; no consumer may be running."""
        partitions = [TopicPartition(each.topic, each.partition, 0) for each in self._partitions(self.name)]
        self._group.commit(offsets=partitions, asynchronous=False)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.settings.topic_partitions)]

    def _read(self, topic: str) -> list[Message]:
        """Every record of a topic known to have some."""
        consumer: Consumer = open_consumer(self.settings, "test-reader")
        partitions = self._partitions(topic)
        ends = sum(_end(consumer, each) for each in partitions)
        consumer.assign([TopicPartition(topic, each.partition, 0) for each in partitions])
        found: list[Message] = []
        while len(found) < ends:
            found += [message for message in consumer.consume(100, READ_S) if message.error() is None]
        consumer.close()
        return found


def _end(consumer: Consumer, partition: TopicPartition) -> int:
    """The offset behind the last record."""
    bounds = consumer.get_watermark_offsets(partition, timeout=KAFKA_ANSWERS_S)
    assert bounds is not None, f"{partition} does not say where it ends"
    return bounds[1]


@contextmanager
def consuming(settings: Settings, engine: Engine) -> Iterator[Health]:
    """A consumer at work in a thread while inside."""
    stop, health = Stop(), Health("kafka", "fills", "gaps")
    health.fine("fills")
    group = ThreadGroup(stop, 30)
    group.add("fills", fill_consumer(settings, engine, health, SystemClock()).run)
    group.add("waiting-fills", waiting_fills(settings, engine, health, SystemClock()).run)
    with group:
        yield health
    assert not group.busy()
