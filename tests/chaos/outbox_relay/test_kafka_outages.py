"""Kafka goes and comes back, on the same data. It is a broker of these tests alone.

The outage of `make chaos-relay` is longer than every limit of the client on an event's wait: 60 s for a
request (`socket.timeout.ms`), 30 s for its acknowledgement (`request.timeout.ms`), for a connection to be made
(`socket.connection.setup.timeout.ms`) and for an unknown topic to turn up (`topic.metadata.propagation.max.ms`).
`message.timeout.ms`, the limit for giving events up, is 0.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.broker import Broker
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import judge
from tests.chaos.outbox_relay.extent import OUTAGE_S
from tests.conftest import wanted_kafka
from tests.integration.outbox_relay.kafka_log import KafkaLog, open_log
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import ThreadRelay, running_relay
from tests.support.servers import delete_topics, running_kafka
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache

IN_FLIGHT = 200
RECOVERY_LIMIT_S = 60


@pytest.fixture(scope="module")
def kafka() -> Iterator[Broker]:
    with running_kafka(wanted_kafka()) as broker:
        yield broker


@pytest.fixture
def narrow(exit_relay: Settings) -> Settings:
    """Few events in flight: a backlog waits in the database."""
    return exit_relay.model_copy(update={"relay_batch_size": IN_FLIGHT})


def kill(kafka: Broker) -> None:
    """End the broker's process at once."""
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGKILL)
    wait_until(lambda: kafka.pid is None)


def complaint(relay: ThreadRelay) -> str:
    """The text of `/readyz`."""
    return relay.health.problems().get("relay exit", "")


@pytest.mark.timeout(OUTAGE_S + 3 * RECOVERY_LIMIT_S)
def test_writers_go_on_while_kafka_is_down_and_backlog_drains(
    writer: Writer, narrow: Settings, topics: TopicNames, log: KafkaLog, kafka: Broker
) -> None:
    assert isinstance(kafka, ApacheKafka)
    with running_relay(narrow) as relay:
        writer.write(*[f"key-{n % 20}" for n in range(100)])
        log.wait_for(100)
        kill(kafka)
        back_at = time.monotonic() + OUTAGE_S

        def is_over() -> bool:
            writer.write(*[f"key-{n}" for n in range(20)])
            return time.monotonic() > back_at and "Kafka does not answer since" in complaint(relay)

        wait_until(is_over, "Kafka is away and missed", OUTAGE_S + RECOVERY_LIMIT_S)
        assert writer.owners()[None] == 0, "a relay keeps its shards meanwhile"
        kafka.start()
        with open_log(narrow, topics.on_cluster(EXIT_INTENTS)) as afresh:
            afresh.wait_for(len(writer.committed()), RECOVERY_LIMIT_S)
            wait_until(lambda: relay.health.is_ready() and writer.unpublished() == 0)
            verdict = judge(afresh.to_the_end(), writer.committed(), most_duplicates=2 * IN_FLIGHT)
    assert verdict.is_sound, str(verdict)


@pytest.mark.chaos
def test_recreated_topic_gets_everything_from_then_on(
    writer: Writer, narrow: Settings, topics: TopicNames, log: KafkaLog, kafka: Broker
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    with running_relay(narrow) as relay:
        writer.write(*[f"key-{n}" for n in range(20)])
        log.wait_for(20)
        wait_until(lambda: writer.unpublished() == 0)
        gone_with_it = writer.committed()
        delete_topics(kafka.bootstrap_servers, topic)
        writer.write(*[f"key-{n}" for n in range(20)])
        wait_until(lambda: complaint(relay) != "")
        wait_until(lambda: create_topics(narrow, [topic]) == [topic])
        with open_log(narrow, topic) as afresh:
            records = afresh.wait_for(20, RECOVERY_LIMIT_S)
            wait_until(lambda: relay.health.is_ready() and writer.unpublished() == 0)
    assert {r.event_id for r in records} == writer.committed().keys() - gone_with_it.keys()
