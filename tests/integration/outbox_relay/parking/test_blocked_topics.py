"""A topic missing or closed to the relay holds up no other topic; its events park and replay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.outbox_relay.publishing import publisher
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS, TopicNames
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order, open_log
from tests.integration.outbox_relay.outbox_writer import Happened, Writer, open_writer
from tests.integration.outbox_relay.parking.guarded_kafka import allow_writing, forbid_writing, running_guarded_kafka
from tests.integration.outbox_relay.parking.operator import Operator
from tests.integration.outbox_relay.relays import running_relay
from tests.support.servers import delete_topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache

KEYS = [f"key-{n}" for n in range(30)]


class HappenedElsewhere(Happened):
    """The same on another topic."""

    topic = EXIT_SIGNALS


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic counts as missing after a second."""
    monkeypatch.setattr(publisher, "MISSING_AFTER_MS", 1000)


def tell(writer: Writer) -> None:
    """An event of each key on each of the two topics, in one transaction."""
    writer.tell(*(kind(name=key) for key in KEYS for kind in (Happened, HappenedElsewhere)))


@pytest.fixture
def without_intents(settings: Settings) -> Iterator[TopicNames]:
    """The topics of the environment but one."""
    names = TopicNames(settings.kafka_topic_prefix)
    create_topics(settings, [names.on_cluster(EXIT_SIGNALS)])
    yield names
    delete_topics(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix)


@pytest.mark.usefixtures("impatient")
def test_other_topics_flow_while_missing_one_parks_and_later_replays(
    settings: Settings, narrow: Settings, without_intents: TopicNames, operator: Operator
) -> None:
    missing, there = without_intents.on_cluster(EXIT_INTENTS), without_intents.on_cluster(EXIT_SIGNALS)
    with open_writer(settings, without_intents) as writer, running_relay(narrow) as relay:
        tell(writer)
        tell(writer)
        with open_log(settings, there) as elsewhere:
            records = elsewhere.wait_for(2 * len(KEYS))
        wait_until(lambda: len(operator.parked()) == 2 * len(KEYS))
        assert {event.topic for event in operator.parked()} == {missing}
        heads = [event for event in operator.parked() if event.sequence == 1]
        assert all("UNKNOWN_TOPIC" in event.reason for event in heads)
        wait_until(relay.health.is_ready)
        create_topics(settings, [missing])
        operator.replay_until_gone(missing)
        tell(writer)
        with open_log(settings, missing) as log:
            replayed = log.wait_for(3 * len(KEYS))
        wait_until(lambda: writer.unpublished() == 0)
        assert operator.parked() == []
        assert_published_in_order(replayed, writer.committed(missing))
        assert {record.event_id for record in records} <= set(writer.committed(there))


def test_other_topics_flow_while_forbidden_one_parks_and_later_replays(settings: Settings, narrow: Settings) -> None:
    with running_guarded_kafka() as broker:
        guarded = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
        relay = narrow.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
        names = TopicNames(settings.kafka_topic_prefix)
        forbidden, allowed = names.on_cluster(EXIT_INTENTS), names.on_cluster(EXIT_SIGNALS)
        create_topics(guarded, [forbidden, allowed])
        forbid_writing(guarded, forbidden)
        with open_writer(guarded, names) as writer, running_relay(relay):
            _forbidden_then_allowed(guarded, writer, forbidden, allowed)


def _forbidden_then_allowed(settings: Settings, writer: Writer, forbidden: str, allowed: str) -> None:
    operator = Operator(writer.engine)
    tell(writer)
    tell(writer)
    with open_log(settings, allowed) as elsewhere:
        elsewhere.wait_for(2 * len(KEYS))
    wait_until(lambda: len(operator.parked()) == 2 * len(KEYS))
    heads = [event for event in operator.parked() if event.sequence == 1]
    assert all(event.reason.startswith("TOPIC_AUTHORIZATION_FAILED: ") for event in heads)
    allow_writing(settings, forbidden)
    operator.replay_until_gone(forbidden)
    tell(writer)
    with open_log(settings, forbidden) as log:
        _assert_complete(log, writer, forbidden)


def _assert_complete(log: KafkaLog, writer: Writer, topic: str) -> None:
    records = log.wait_for(3 * len(KEYS))
    wait_until(lambda: writer.unpublished() == 0)
    assert_published_in_order(records, writer.committed(topic))
