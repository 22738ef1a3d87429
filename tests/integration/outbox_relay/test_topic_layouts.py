"""A key stays on its partition when its topic gets more of them, until an operator adopts these."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import TopicPartition

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.clients import murmur2_partition, open_admin, open_consumer
from shared.kafka.topics import bounds_of
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order, open_log
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.support.topic_changes import grow, replace_topic
from tests.support.waiting import wait_until
from tests.unit.cli.conftest import exitflow
from tests.unit.cli.results import Result

__all__ = ["exitflow"]

Exitflow = Callable[..., Result]
KEYS = [f"key-{number}" for number in range(40)]

pytestmark = pytest.mark.apache


@pytest.fixture
def grown(settings: Settings) -> Settings:
    """The same environment with three partitions more."""
    return settings.model_copy(update={"topic_partitions": settings.topic_partitions + 3})


@pytest.fixture
def cli(settings: Settings, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> Exitflow:
    """The command line, with this environment named by its settings."""
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", settings.require_exit_database())
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", settings.require_trade_database())
    return exitflow


@pytest.fixture
def whole_log(grown: Settings, topics: TopicNames) -> Iterator[Callable[[], KafkaLog]]:
    """Opens the topic with all its partitions, once it has them."""
    opened = []

    def open_it() -> KafkaLog:
        context = open_log(grown, topics.on_cluster(EXIT_INTENTS))
        opened.append(context)
        return context.__enter__()

    yield open_it
    for context in opened:
        context.__exit__(None, None, None)


def pinned(writer: Writer) -> int | None:
    """The partitions stored by the relay."""
    with writer.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT partitions FROM outbox_topic").fetchone()
    return row[0] if row else None


def test_keys_keep_partition_through_growth_and_new_relay(
    writer: Writer,
    settings: Settings,
    grown: Settings,
    exit_relay: Settings,
    topics: TopicNames,
    whole_log: Callable[[], KafkaLog],
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    with running_relay(exit_relay) as relay:
        writer.write(*KEYS)
        wait_until(lambda: pinned(writer) == settings.topic_partitions)
        grow(settings, grown.topic_partitions, topic)
        for _ in range(3):
            writer.write(*KEYS)
        log = whole_log()
        log.wait_for(4 * len(KEYS))
        wait_until(relay.health.is_ready)
    with running_relay(exit_relay):
        writer.write(*KEYS)
        records = log.wait_for(5 * len(KEYS))
    assert_published_in_order(records, writer.committed())
    assert max(record.partition for record in records) < settings.topic_partitions


def test_adopted_partitions_are_used_after_every_reader_catches_up(
    writer: Writer,
    settings: Settings,
    grown: Settings,
    exit_relay: Settings,
    topics: TopicNames,
    cli: Exitflow,
    whole_log: Callable[[], KafkaLog],
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    with running_relay(exit_relay):
        writer.write(*KEYS)
        wait_until(lambda: pinned(writer) == settings.topic_partitions)
        grow(settings, grown.topic_partitions, topic)
        log = whole_log()
        log.wait_for(len(KEYS))
        reader = open_consumer(settings, "reader")
        places = [(topic, number) for number in range(grown.topic_partitions)]
        admin = open_admin(settings)
        ends = {place: bounds.end for place, bounds in bounds_of(admin, places).items()}
        reader.commit(offsets=[TopicPartition(*place, 0) for place in places], asynchronous=False)
        refused = cli("topics", "adopt", topic, "--reason", "more readers")
        assert (refused.status, "readers are behind" in refused.err) == (1, True)
        reader.commit(offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False)
        reader.close()
        planned = json.loads(cli("topics", "adopt", topic, "--reason", "x", "--dry-run", "--json").out)
        assert [each["partitions"] for each in planned["adopted"]] == [grown.topic_partitions]
        assert pinned(writer) == settings.topic_partitions
        assert cli("topics", "adopt", topic, "--reason", "more readers").status == 0

        def uses_new_partitions() -> bool:
            writer.write(*KEYS)
            return any(each.partition >= settings.topic_partitions for each in log.wait_for(len(writer.committed())))

        wait_until(uses_new_partitions)
        before = len(writer.committed())
        writer.write(*KEYS)
        records = log.wait_for(before + len(KEYS))
    last = {each.key: each for each in sorted(records, key=lambda each: each.sequence)}
    homes = {key: murmur2_partition(key.encode(), grown.topic_partitions) for key in KEYS}
    assert {key: record.partition for key, record in last.items()} == homes
    for key in KEYS:
        sequences = [each.sequence for each in records if each.key == key and each.partition == homes[key]]
        assert sequences == sorted(sequences)


def test_replaced_topic_takes_its_new_partition_count(
    writer: Writer, settings: Settings, grown: Settings, exit_relay: Settings, topics: TopicNames
) -> None:
    with running_relay(exit_relay):
        writer.write("one")
        wait_until(lambda: pinned(writer) == settings.topic_partitions)
        replace_topic(grown, topics.on_cluster(EXIT_INTENTS))
        wait_until(lambda: pinned(writer) == grown.topic_partitions)
