"""No event overtakes a refused one of its key, also where Kafka does not know the producer yet."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from services.outbox_relay.publishing.failures import DeliveryFailed
from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.topic_layouts import PartitionOf, any_partition
from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, TRADES, TopicNames
from shared.kafka.clients import home_partition
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.parking.made_topics import topics_fixture
from tests.integration.outbox_relay.test_publisher import batch_of, in_flight_after_a_look
from tests.support.waiting import wait_until

LIMIT_BYTES = 20_000
WAITS_S = (0, 0.0002, 0.0005, 0.001, 0.002)
"""The second event comes while the first one is queued, on the wire, or refused; each time by another publisher."""

pytestmark = pytest.mark.apache


topics = topics_fixture(LIMIT_BYTES)


@contextmanager
def opened(settings: Settings, partition_of: PartitionOf, warm: str) -> Iterator[list[Publisher]]:
    """Publishers with a producer id: Kafka gives it with the first record, here to the topic `warm`."""
    with ExitStack() as stack:
        publishers = [Publisher(settings, SystemClock(), lambda _: None, partition_of) for _ in WAITS_S]
        for publisher in publishers:
            stack.callback(publisher.throw_away)
            publisher.send(batch_of(warm, 0))
        wait_until(lambda: not any(in_flight_after_a_look(publisher) for publisher in publishers))
        yield publishers


def send_both(publisher: Publisher, topic: str, wait_s: float) -> None:
    """Send an event refused by Kafka and an acceptable one, each as soon as it may go."""
    publisher.send(batch_of(topic, 0, os.urandom(2 * LIMIT_BYTES).hex().encode()))
    time.sleep(wait_s)
    follower = batch_of(topic, 0)
    wait_until(lambda: publisher.send(follower).events == 1 or publisher.poll(0.01) < 0)
    wait_until(lambda: publisher.poll(0.01) < 0)


@pytest.mark.parametrize("partition_of", [any_partition, lambda _, key: home_partition(key, 2)], ids=["any", "known"])
def test_no_event_overtakes_a_refused_one(
    settings: Settings, topics: TopicNames, log: KafkaLog, partition_of: PartitionOf
) -> None:
    with opened(settings, partition_of, topics.on_cluster(TRADES)) as publishers:
        for publisher, wait_s in zip(publishers, WAITS_S, strict=True):
            with pytest.raises(DeliveryFailed):
                send_both(publisher, topics.on_cluster(EXIT_INTENTS), wait_s)
    assert log.to_the_end() == []


def test_events_of_a_partition_that_knows_the_producer_go_together(settings: Settings, topics: TopicNames) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    with opened(settings, any_partition, topic) as (publisher, *_):
        assert [publisher.send(batch_of(topic, 0)).events for _ in range(3)] == [1, 1, 1]
