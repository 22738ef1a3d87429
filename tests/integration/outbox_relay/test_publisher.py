"""The producers against the real broker."""

from __future__ import annotations

import pytest

from deploy.local.broker import Broker
from services.outbox_relay.progress import Progress
from services.outbox_relay.publisher import Publisher
from services.outbox_relay.shard import Batch
from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.ids import new_id
from shared.settings import Settings
from tests.integration.outbox_relay.relays import stopped, wait_until


@pytest.fixture
def publisher(settings: Settings) -> Publisher:
    return Publisher(settings, SystemClock(), on_refused=lambda _: None)


def batch_of(topic: str, shard: int) -> Batch:
    """One event, as it comes from the outbox."""
    row = (shard, 1, topic, "key", b"{}", str(new_id()), "1", "type", "source", "subject", "time", None, None, 0.0)
    return Batch([row], Progress("1:1:").into_window("2:2:").up_to(1))


def test_giving_up_what_kafka_does_not_answer_for_is_no_error(
    publisher: Publisher, topics: TopicNames, kafka: Broker
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    for shard in (0, 1):
        publisher.send(batch_of(topic, shard))
    wait_until(lambda: publisher.poll(0.05) is None and publisher.in_flight == 0)
    assert kafka.pid is not None
    with stopped(kafka.pid):
        for shard in (0, 1):
            publisher.send(batch_of(topic, shard))
        publisher.drain(limit_s=0.3)
        for _ in range(10):
            publisher.throw_away()
