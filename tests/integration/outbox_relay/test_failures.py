"""Whatever dies, everything committed arrives, first occurrences in order, repetitions bounded."""

from __future__ import annotations

import signal
from contextlib import ExitStack

import psycopg
import pytest
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from deploy.local.kafka.broker import Broker
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.clients import open_admin
from shared.runtime.failpoints import Failpoint
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import relay_process, running_relay, short_lived, stopped
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until

PARKING_POINTS = {Failpoint.RELAY_BEFORE_PARK_COMMIT, Failpoint.RELAY_AFTER_REPLAY_ACK}
"""Nothing is refused here, so nothing gets there."""

RELAY_POINTS = [p for p in Failpoint if p.value.startswith("relay.") and p not in PARKING_POINTS]
RAISING = (Failpoint.RELAY_AFTER_READ, Failpoint.RELAY_AFTER_PRODUCE, Failpoint.RELAY_AFTER_CHECKPOINT)
"""A raised error ends a session as being killed does: not every point need be tried."""

IN_FLIGHT = 200


@pytest.fixture
def narrow(exit_relay: Settings) -> Settings:
    """Few events in flight: a window has many batches."""
    return exit_relay.model_copy(update={"relay_batch_size": IN_FLIGHT})


def write_backlog(writer: Writer) -> int:
    """2,000 events over 50 keys."""
    for _ in range(20):
        writer.write(*[f"key-{n % 50}" for n in range(100)])
    return 2000


@pytest.mark.parametrize("point", RELAY_POINTS, ids=lambda point: point.value)
def test_a_relay_killed_anywhere_loses_nothing(
    point: Failpoint, writer: Writer, narrow: Settings, log: KafkaLog
) -> None:
    events = write_backlog(writer)
    with relay_process(short_lived(narrow), failpoints=f"{point.value}=kill") as process:
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    with running_relay(narrow):
        records = log.wait_for(events)
        wait_until(lambda: writer.unpublished() == 0)
    records = log.to_the_end()
    assert_published_in_order(records, writer.committed())
    # One interruption; half of the limit in flight may be acknowledged and not on record yet.
    assert len(records) - events <= 2 * IN_FLIGHT


@pytest.mark.parametrize("point", RAISING, ids=lambda point: point.value)
def test_a_relay_in_which_something_raises_restarts_by_itself(
    point: Failpoint, writer: Writer, narrow: Settings, log: KafkaLog
) -> None:
    events = write_backlog(writer)
    with relay_process(narrow, failpoints=f"{point.value}=raise@2"):
        records = log.wait_for(events)
        wait_until(lambda: writer.unpublished() == 0)
    assert_published_in_order(log.to_the_end(), writer.committed())
    assert len(records) - events <= 2 * IN_FLIGHT


TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay'"


def test_killed_connections_are_replaced(writer: Writer, narrow: Settings, log: KafkaLog, database: Database) -> None:
    events = write_backlog(writer)
    with running_relay(narrow) as relay, psycopg.connect(database.admin_url, autocommit=True) as admin:
        for published in (1, 500, 1000):
            log.wait_for(published)
            admin.execute(TERMINATE)
        records = log.wait_for(events)
        wait_until(relay.health.is_ready)
    assert_published_in_order(records, writer.committed())


def test_a_relay_stopped_past_its_lease_restarts(writer: Writer, narrow: Settings, log: KafkaLog) -> None:
    with relay_process(short_lived(narrow)) as process:
        wait_until(lambda: list(writer.owners().values()) == [64])
        events = write_backlog(writer)
        with stopped(process.pid), running_relay(short_lived(narrow)):
            wait_until(lambda: list(writer.owners().values()) == [64] and writer.unpublished() == 0)
            log.wait_for(events)
        writer.write("afterwards")
        records = log.wait_for(events + 1)
    assert_published_in_order(records, writer.committed())


def test_writers_go_on_and_idle_relay_reports_silent_kafka(
    writer: Writer, exit_relay: Settings, log: KafkaLog, kafka: Broker
) -> None:
    with running_relay(exit_relay) as relay:
        writer.write("before")
        log.wait_for(1)
        assert kafka.pid is not None
        with stopped(kafka.pid):
            # With nothing in flight it is only noticed because the relay asks.
            wait_until(lambda: "Kafka does not answer since" in relay.health.problems().get("relay exit", ""))
            writer.write(*[f"key-{n}" for n in range(100)])
        records = log.wait_for(101)
        wait_until(relay.health.is_ready)
    assert_published_in_order(records, writer.committed())


def test_relay_stops_on_request_while_kafka_is_silent(
    writer: Writer, exit_relay: Settings, log: KafkaLog, kafka: Broker
) -> None:
    assert kafka.pid is not None
    with ExitStack() as until_kafka_answers:
        with running_relay(exit_relay) as relay:
            writer.write("before")
            log.wait_for(1)
            until_kafka_answers.enter_context(stopped(kafka.pid))
            writer.write("after")
            wait_until(lambda: not relay.health.is_ready())
        assert writer.owners() == {None: 64}
    with running_relay(exit_relay):
        records = log.wait_for(2)
    assert_published_in_order(records, writer.committed())


@pytest.mark.apache
def test_after_a_refused_event_nothing_is_skipped(
    writer: Writer, narrow: Settings, log: KafkaLog, topics: TopicNames
) -> None:
    topic = topics.on_cluster(EXIT_INTENTS)
    with running_relay(narrow) as relay:

        def is_refused() -> bool:
            writer.write(*[f"key-{n}" for n in range(20)])
            return "Kafka refused an event" in relay.health.problems().get("relay exit", "")

        limit_record_bytes(narrow, topic, 200)
        wait_until(is_refused)
        limit_record_bytes(narrow, topic, 1_000_000)
        records = log.wait_for(len(writer.committed()))
        wait_until(relay.health.is_ready)
    assert_published_in_order(records, writer.committed())


def limit_record_bytes(settings: Settings, topic: str, limit: int) -> None:
    """Make the topic refuse batches larger than `limit`."""
    entry = ConfigEntry("max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = open_admin(settings)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=LIMIT_S)
