"""What Kafka refuses for itself parks with the later events of its key, and holds up nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka import create_topics
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, Record, assert_published_in_order, sequences_by_key
from tests.integration.outbox_relay.parking.made_topics import make_topic
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.relays import running_relay, wait_until
from tests.integration.outbox_relay.written import Writer
from tests.support.servers import delete_topics

LIMIT_BYTES = 20_000
TOO_LARGE = 50_000
DISCARDED = "io.exitflow.Discarded.v1"

pytestmark = pytest.mark.apache


def others(count: int = 20) -> list[str]:
    """Keys of events that Kafka takes."""
    return [f"key-{n}" for n in range(count)]


@pytest.fixture
def topics(settings: Settings) -> Iterator[TopicNames]:
    """The environment's topics; the one that the writer's events go to takes small batches only, from the start."""
    names = TopicNames(settings.kafka_topic_prefix)
    make_topic(settings, names.on_cluster(EXIT_INTENTS), {"max.message.bytes": str(LIMIT_BYTES)})
    create_topics(settings, names.all_on_cluster())
    yield names
    delete_topics(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix)


def poison(writer: Writer, key: str = "poison") -> None:
    """An event that is too large once the topic's limit is low."""
    writer.write_noted(key, os.urandom(TOO_LARGE).hex())


def all_but(writer: Writer, *keys: str) -> dict[str, tuple[str, int]]:
    """Every committed event that is not of these keys."""
    return {event_id: event for event_id, event in writer.committed().items() if event[0] not in keys}


def of_keys_but(records: list[Record], *keys: str) -> list[Record]:
    """The records that are not of these keys."""
    return [record for record in records if record.key not in keys]


def test_an_event_too_large_parks_with_the_later_ones_of_its_key_and_the_others_flow(
    writer: Writer, narrow: Settings, log: KafkaLog, topic: str, operator: Operator
) -> None:
    with running_relay(narrow) as relay:
        writer.write(*others(), "poison")
        poison(writer)
        writer.write("poison", *others())
        wait_until(lambda: operator.parked_of("poison") == [2, 3])
        writer.write("poison", *others())
        wait_until(lambda: operator.parked_of("poison") == [2, 3, 4])
        records = log.wait_for(3 * 20 + 1)
        wait_until(relay.health.is_ready)
    first, *later = operator.parked()
    assert first.reason.startswith("MSG_SIZE_TOO_LARGE: ")
    assert [event.reason for event in later] == [f"after {first.event_id}"] * 2
    assert_published_in_order(of_keys_but(records, "poison"), all_but(writer, "poison"))
    assert sequences_by_key(records)["poison"] == [1]
