"""The topics as found by a consumer without knowledge of us."""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS, TopicNames
from shared.kafka.clients import open_admin
from shared.outbox.signatures import SIGNATURE_HEADER
from shared.outbox.writing import Outbox
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import Happened, Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.support.signing import SIGNER, TRUSTED
from tests.support.waiting import LIMIT_S, wait_until

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ROUNDS = 20
KEYS = 10
LZ4 = 3
CODEC_BITS = 0b111
RECORDS_AT = 57
"""Bytes from the beginning of a batch to the number of its records."""


class AlsoHappened(Happened):
    """An event of another topic with the same keys."""

    topic = EXIT_SIGNALS


def plainly_read(settings: Settings, topics: list[str], records: int) -> list[Message]:
    """So many records, as any client of Kafka gets them."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": "nobody"})
    consumer.assign([TopicPartition(topic, n, 0) for topic in topics for n in range(settings.topic_partitions)])
    found: list[Message] = []
    ends_at = time.monotonic() + LIMIT_S
    while len(found) < records:
        assert time.monotonic() < ends_at, f"{len(found)} of {records} records"
        found += [message for message in consumer.consume(1000, timeout=0.1) if message.error() is None]
    consumer.close()
    return found


def headers_of(message: Message) -> dict[str, str]:
    """The headers, each present once."""
    headers = message.headers()
    assert isinstance(headers, list)
    assert len({name for name, _ in headers}) == len(headers)
    return {name: value.decode() for name, value in headers if isinstance(value, bytes)}


@pytest.fixture
def written(writer: Writer, topics: TopicNames) -> int:
    """Events of the same keys on two topics, of one traced request each; how many."""
    outbox = Outbox(topics, SystemClock(), SIGNER)
    for _ in range(ROUNDS):
        with writer.engine.begin() as connection:
            events = [kind(name=f"key-{n}") for n in range(KEYS) for kind in (Happened, AlsoHappened)]
            outbox.append(connection, events, [TRACE] * len(events))
    return ROUNDS * KEYS * 2


def test_plain_consumer_finds_cloud_events_numbered_per_topic_and_key(
    written: int, exit_relay: Settings, topics: TopicNames
) -> None:
    names = [topics.on_cluster(EXIT_INTENTS), topics.on_cluster(EXIT_SIGNALS)]
    with running_relay(exit_relay):
        found = plainly_read(exit_relay, names, written)
    numbers = defaultdict(list)
    for message in found:
        headers = headers_of(message)
        key = message.key()
        assert isinstance(key, bytes)
        kind = "Happened" if message.topic() == names[0] else "AlsoHappened"
        TRUSTED.verify(message, headers)
        assert headers.pop(SIGNATURE_HEADER)
        numbers[message.topic(), key].append(int(headers.pop("ce_sequence")))
        UUID(headers.pop("ce_id"))
        assert datetime.fromisoformat(headers.pop("ce_time")).tzinfo is not None
        assert headers == {
            "ce_specversion": "1.0",
            "ce_type": f"io.exitflow.{kind}.v1",
            "ce_source": "/tests",
            "ce_subject": key.decode(),
            "content-type": "application/json",
            "traceparent": TRACE,
        }
    assert len(numbers) == 2 * KEYS
    assert all(sequence == list(range(1, ROUNDS + 1)) for sequence in numbers.values())


@pytest.mark.apache
def test_records_lie_on_the_broker_compressed(
    written: int, exit_relay: Settings, topics: TopicNames, writer: Writer
) -> None:
    with running_relay(exit_relay):
        wait_until(lambda: writer.unpublished() == 0)
    topic = topics.on_cluster(EXIT_INTENTS)
    files = log_directory(exit_relay).glob(f"{topic}-*/*.log")
    # librdkafka leaves a batch as it is if it became longer, as those of one record do.
    codecs = {codec for file in files for codec, records in batches_of(file) if records > 1}
    assert codecs == {LZ4}


def log_directory(settings: Settings) -> Path:
    """Where the one broker keeps its log."""
    admin = open_admin(settings)
    (broker,) = admin.list_topics(timeout=LIMIT_S).brokers
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.BROKER, str(broker))]).values()
    return Path(answer.result(timeout=LIMIT_S)["log.dirs"].value)


def batches_of(segment: Path) -> list[tuple[int, int]]:
    """Each batch of a log segment: how it is compressed, and its records (message format 2)."""
    log, batches, at = segment.read_bytes(), [], 0
    while at + RECORDS_AT + 4 <= len(log):
        _, length, _, magic, _, attributes = struct.unpack_from(">qiibIh", log, at)
        assert magic == 2
        (records,) = struct.unpack_from(">i", log, at + RECORDS_AT)
        batches.append((attributes & CODEC_BITS, records))
        at += 12 + length
    return batches
