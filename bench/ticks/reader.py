"""A consumer of the intents; it reads each as soon as it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from bench.ticks.place import PARTITIONS, Place

SLICE_S = 0.002


@contextmanager
def intents_reader(place: Place) -> Iterator[Consumer]:
    """Open a consumer of all intents of a place."""
    consumer = Consumer({"bootstrap.servers": place.settings.kafka_bootstrap_servers, "group.id": "bench-reader"})
    consumer.assign([TopicPartition(place.intents, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def read_now(consumer: Consumer) -> list[Message]:
    """Return the next record once it is there, with all others received: to ask for many waits for the whole time."""
    first = consumer.poll(SLICE_S)
    messages = [] if first is None else [first, *consumer.consume(1000, 0)]
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return messages
