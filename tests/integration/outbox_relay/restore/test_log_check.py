"""A database taken back behind Kafka is held until an operator decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text

from services.outbox_relay.database.connection import connect
from services.outbox_relay.restore.log_check import LogCheck, OutboxBehindKafka
from shared.clock import SystemClock
from shared.contracts.topics import EXIT_INTENTS, TRADES, TopicNames
from shared.errors import ConfigurationError
from shared.kafka.clients import flush_or_fail, open_admin, open_producer
from shared.kafka.gap_report import GapReport
from shared.postgres.health_check import DatabaseWatch
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, sequences_by_key
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until
from tests.unit.cli.conftest import exitflow
from tests.unit.cli.results import Result

__all__ = ["exitflow"]

TABLES = ("outbox_event_default", "outbox_sequence", "outbox_shard", "outbox_origin")
Exitflow = Callable[..., Result]

DISCARD = """
INSERT INTO outbox_discarded (event_id, shard, topic, key, sequence, reason, discarded_by)
SELECT event_id, shard, topic, key, sequence, 'as tested', 'ops-desk' FROM outbox_event
"""


class Backup:
    """The outbox's tables as they were, and a way back to them as a physical backup takes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run(f"CREATE TABLE backup.{table} AS TABLE exit_qualification.{table}" for table in TABLES)

    def restore(self) -> None:
        """Take the tables back; transaction numbers keep their meaning."""
        self._run(
            statement
            for table in TABLES
            for statement in (
                f"DELETE FROM exit_qualification.{table}",
                f"INSERT INTO exit_qualification.{table} OVERRIDING SYSTEM VALUE TABLE backup.{table}",
            )
        )

    def _run(self, statements: Iterator[str]) -> None:
        with psycopg.connect(self._database.admin_url, autocommit=True) as admin:
            admin.execute("CREATE SCHEMA IF NOT EXISTS backup")
            for statement in statements:
                admin.execute(statement)


def publish(writer: Writer, relay: Settings, *keys: str) -> None:
    """Write an event for each key and let a relay publish them."""
    writer.write(*keys)
    with running_relay(relay):
        wait_until(lambda: writer.unpublished() == 0)


@pytest.fixture
def restored(writer: Writer, exit_relay: Settings, database: Database) -> None:
    """Three events of a key are in Kafka; the database knows one of them."""
    publish(writer, exit_relay, "a")
    backup = Backup(database)
    publish(writer, exit_relay, "a", "a", "b")
    backup.restore()


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's servers, named by the settings as an operator would."""
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", settings.require_exit_database())
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", settings.require_trade_database())
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", settings.kafka_topic_prefix)


@pytest.fixture
def database_health(settings: Settings) -> Iterator[Health]:
    """Health of a process with the exit database."""
    health, stop = Health(), Stop()
    watched = settings.model_copy(update={"health_deadline_s": 2.0})
    watch = DatabaseWatch(settings.require_exit_database(), EXIT_QUALIFICATION, health, watched)
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    yield health
    stop.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


@pytest.mark.usefixtures("restored", "environment")
def test_a_restored_outbox_is_held_until_it_has_caught_up(
    writer: Writer, exit_relay: Settings, log: KafkaLog, exitflow: Exitflow, database_health: Health
) -> None:
    before = len(log.to_the_end())
    writer.write("c")
    with running_relay(exit_relay) as relay:
        wait_until(lambda: "exitflow outbox catch-up" in str(relay.health.problems()))
        report = GapReport(writer.engine, "exit-ticks", Health("gaps"), SystemClock(), "")
        with pytest.raises(ConfigurationError, match="unknown to this database"):
            report.show()
        wait_until(lambda: "exitflow outbox catch-up" in str(database_health.problems()))
        assert len(log.to_the_end()) == before
        behind = json.loads(exitflow("outbox", "catch-up", "--dry-run", "--json").out)
        assert [(row["outbox"], row["key"], row["here"], row["kafka"]) for row in behind] == [
            ("exit", "a", 1, 3),
            ("exit", "b", 0, 1),
        ]
        assert exitflow("outbox", "catch-up", "--reason", "restored").status == 0
        wait_until(lambda: relay.health.is_ready() and database_health.is_ready())
        report.show()
        writer.write("a", "b")
        wait_until(lambda: writer.unpublished() == 0)
    assert sequences_by_key(log.to_the_end()) == {"a": [1, 2, 3, 4], "b": [1, 2], "c": [1]}


@pytest.mark.usefixtures("restored", "environment")
def test_reused_numbers_are_refused_unless_publication_is_requested(
    writer: Writer, exit_relay: Settings, exitflow: Exitflow
) -> None:
    writer.write("a", "a", "b")  # services ran before the relay looked
    with running_relay(exit_relay) as relay:
        wait_until(lambda: "exitflow outbox catch-up" in str(relay.health.problems()))
        refused = exitflow("outbox", "catch-up", "--reason", "restored")
        assert (refused.status, "3 events written since the restore" in refused.err) == (1, True)
        assert exitflow("outbox", "catch-up", "--publish-new", "--reason", "restored").status == 0
        wait_until(lambda: relay.health.is_ready() and writer.unpublished() == 0)


def produce(settings: Settings, topics: TopicNames, topic: str, headers: dict[str, str]) -> None:
    """Write a record with key "a"."""
    producer = open_producer(settings)
    producer.produce(topics.on_cluster(topic), key="a", value=b"{}", headers=list(headers.items()))
    flush_or_fail(producer)


def check(settings: Settings, schema: str, url: str) -> str | None:
    """Compare a schema's outbox with Kafka, as a relay with these settings does."""
    with closing(connect(url, schema)) as connection:
        return LogCheck(schema, settings, open_admin(settings), SystemClock()).refuse_if_behind(connection)


@pytest.fixture
def believing(relay_settings: Settings) -> Settings:
    """Settings of a relay without public keys: every record counts."""
    return relay_settings.model_copy(update={"exit_event_keys": None, "trade_event_keys": None})


@pytest.mark.parametrize(("schema", "topic"), [(EXIT_QUALIFICATION, EXIT_INTENTS), (TRADE_MANAGEMENT, TRADES)])
def test_an_unknown_event_holds_the_outbox_that_publishes_its_topic(
    schema: str, topic: str, believing: Settings, topics: TopicNames, database: Database
) -> None:
    urls = {EXIT_QUALIFICATION: database.relay_exit_url, TRADE_MANAGEMENT: database.relay_trade_url}
    for each in urls.items():
        check(believing, *each)
    produce(believing, topics, topic, {"ce_id": "x", "ce_sequence": "7"})
    with pytest.raises(OutboxBehindKafka, match=f"{topic} key a sequence 7"):
        check(believing, schema, urls.pop(schema))
    ((other, url),) = urls.items()
    check(believing, other, url)


@pytest.mark.parametrize(
    "headers", [{"ce_id": "x", "ce_sequence": "9" * 40}, {"ce_sequence": "7"}, {"ce_id": "x", "ce_sequence": "-7"}, {}]
)
def test_a_record_that_is_no_numbered_event_holds_nothing(
    headers: dict[str, str], believing: Settings, topics: TopicNames, database: Database
) -> None:
    produce(believing, topics, EXIT_INTENTS, headers)
    check(believing, EXIT_QUALIFICATION, database.relay_exit_url)


def test_what_somebody_else_wrote_holds_nothing(
    writer: Writer, relay_settings: Settings, topics: TopicNames, database: Database
) -> None:
    produce(relay_settings, topics, EXIT_INTENTS, {"ce_id": "x", "ce_sequence": "7"})
    check(relay_settings, EXIT_QUALIFICATION, database.relay_exit_url)
    with writer.engine.connect() as connection:
        assert connection.execute(text("SELECT held_because FROM outbox_origin")).scalar_one() is None


def test_an_event_in_whose_place_another_was_published_holds_nothing(
    writer: Writer, believing: Settings, topics: TopicNames, database: Database
) -> None:
    writer.write("a")
    produce(believing, topics, EXIT_INTENTS, {"ce_id": "x", "ce_sequence": "1"})
    with pytest.raises(OutboxBehindKafka):
        check(believing, EXIT_QUALIFICATION, database.relay_exit_url)
    with psycopg.connect(database.admin_url, options="-c search_path=exit_qualification") as admin:
        admin.execute(DISCARD)
        admin.execute("UPDATE outbox_origin SET held_because = NULL")
    check(believing, EXIT_QUALIFICATION, database.relay_exit_url)
