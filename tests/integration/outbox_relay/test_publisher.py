"""The producers against the real broker."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from deploy.local.kafka.broker import Broker
from services.outbox_relay.publishing import publisher as publishing
from services.outbox_relay.publishing.failures import DeliveryFailed
from services.outbox_relay.publishing.publisher import Publisher
from services.outbox_relay.publishing.refusals import Refused
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import Batch
from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.ids import new_id
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay, stopped
from tests.support.waiting import wait_until


@pytest.fixture
def publisher(settings: Settings) -> Publisher:
    return Publisher(settings, SystemClock(), on_refused=lambda _: None)


def batch_of(topic: str, shard: int, payload: bytes = b"{}") -> Batch:
    """One event, as it comes from the outbox; its key is always the same."""
    row = (shard, 1, topic, "key", payload, str(new_id()), "1", "type", "source", "subject", "time", "trace", None, 0.0)
    return Batch([row], Progress("1:1:").into_window("2:2:").up_to(1))


def in_flight_after_a_look(publisher: Publisher) -> int:
    """Events without a report once the present reports were taken."""
    publisher.poll(0.05)
    return publisher.in_flight


def test_giving_up_unanswered_kafka_batches_is_no_error(
    publisher: Publisher, topics: TopicNames, kafka: Broker
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    for shard in (0, 1):
        publisher.send(batch_of(topic, shard))
    wait_until(lambda: in_flight_after_a_look(publisher) == 0)
    assert kafka.pid is not None
    with stopped(kafka.pid):
        for shard in (0, 1):
            publisher.send(batch_of(topic, shard))
        publisher.drain(limit_s=0.3)
        for _ in range(10):
            publisher.throw_away()


OUT_OF_ORDER_SEQUENCE_NUMBER = 45
GAPLESS_GUARANTEE = -148


def test_producer_ended_by_unreported_refusal_makes_every_key_suspect(settings: Settings, topics: TopicNames) -> None:
    counted: list[KafkaError] = []
    publisher = Publisher(settings, SystemClock(), counted.append)
    strike(publisher._producers[0], GAPLESS_GUARANTEE)
    with pytest.raises(DeliveryFailed):
        publisher.send(batch_of(topics.on_cluster(EXIT_INTENTS), 0))
    assert publisher.refused() == Refused(up_to=1)
    assert counted == [], "no record was refused by the end of a producer"


def test_a_producer_that_the_broker_disowned_makes_no_key_suspect(publisher: Publisher, topics: TopicNames) -> None:
    strike(publisher._producers[0], OUT_OF_ORDER_SEQUENCE_NUMBER)
    with pytest.raises(DeliveryFailed):
        publisher.send(batch_of(topics.on_cluster(EXIT_INTENTS), 0))
    assert publisher.refused() is None


def test_after_a_fatal_error_of_the_client_the_relay_restarts(
    writer: Writer, exit_relay: Settings, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Producer] = []

    class Noted(Producer):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)
            made.append(self)

    monkeypatch.setattr(publishing, "Producer", Noted)
    with running_relay(exit_relay) as relay:
        writer.write(*[f"key-{n}" for n in range(100)])
        log.wait_for(100)
        strike(made[0], OUT_OF_ORDER_SEQUENCE_NUMBER)
        wait_until(lambda: "relay exit" in relay.health.problems())
        writer.write(*[f"key-{n}" for n in range(100)])
        log.wait_for(200)
        wait_until(lambda: relay.health.is_ready() and writer.unpublished() == 0)
    assert_published_in_order(log.to_the_end(), writer.committed())


def strike(producer: Producer, code: int) -> None:
    """Make librdkafka end this producer as it does by itself (``rd_kafka_test_fatal_error``)."""
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "librdkafka" in line}
    library = ctypes.CDLL(loaded.pop())
    # The handle of librdkafka is the first thing in the object after Python's own.
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    library.rd_kafka_test_fatal_error(handle, code, b"as tested")
