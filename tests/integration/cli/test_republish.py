"""`exitflow outbox republish` on a real outbox and Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from shared.contracts.topics import EXIT_INTENTS
from shared.settings import Settings
from tests.integration.outbox_relay.conftest import log, writer
from tests.integration.outbox_relay.kafka_log import KafkaLog, Record, sequences_by_key
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.support.servers import Database
from tests.support.waiting import wait_until
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

REASON = ("--reason", "topic was replaced")


__all__ = ["log", "writer"]


@pytest.fixture
def republish(settings: Settings, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command on the test's servers."""
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", settings.require_exit_database())
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", settings.require_trade_database())
    monkeypatch.setenv("EXITFLOW_KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers)
    monkeypatch.setenv("EXITFLOW_KAFKA_TOPIC_PREFIX", settings.kafka_topic_prefix)
    return lambda *more: exitflow("outbox", "republish", "--topic", EXIT_INTENTS, *more)


def publish(writer: Writer, relay_settings: Settings, *transactions: tuple[str, ...]) -> None:
    """Write these events and let a relay publish them."""
    for keys in transactions:
        writer.write(*keys)
    with running_relay(relay_settings.model_copy(update={"relay_outboxes": "exit"})):
        wait_until(lambda: writer.unpublished() == 0)


def as_sent(record: Record) -> Record:
    """A record without its place."""
    return replace(record, offset=0)


def execute(database: Database, statement: str) -> None:
    """Run a statement as the administrator."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(statement)


def test_republish_resends_published_events_unchanged_in_key_order(
    writer: Writer, relay_settings: Settings, log: KafkaLog, republish: Callable[..., Result], database: Database
) -> None:
    publish(writer, relay_settings, ("a", "b"), ("a",), ("b", "a"))
    before = list(log.to_the_end())
    writer.write("a")  # the relay has not published it, so it is left to the relay
    done = republish(*REASON, "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["events"] == 5
    again = log.to_the_end()[len(before) :]
    assert sequences_by_key(again) == {"a": [1, 2, 3], "b": [1, 2]}
    assert sorted(map(repr, map(as_sent, again))) == sorted(map(repr, map(as_sent, before)))
    assert "ce_signature" in again[0].headers
    with psycopg.connect(database.admin_url) as admin:
        audited = admin.execute(
            "SELECT action, reason, after ->> 'events' FROM exit_qualification.audit_log"
        ).fetchall()
    assert audited == [("outbox.republish", "topic was replaced", "5")]


def test_a_key_and_a_printed_position_narrow_what_is_sent(
    writer: Writer, relay_settings: Settings, log: KafkaLog, republish: Callable[..., Result]
) -> None:
    publish(writer, relay_settings, ("a", "b"), ("a",))
    before = len(log.to_the_end())
    first = republish(*REASON, "--key", "a")
    position = int(first.err.split("--since ")[1].split()[0])
    assert [record.sequence for record in log.to_the_end()[before:]] == [1, 2]
    assert json.loads(republish("--dry-run", "--since", str(position), "--json").out)["events"] == 0
    assert json.loads(republish("--dry-run", "--since", str(position - 1), "--json").out)["events"] == 1
    assert republish("--dry-run", "--since", "yesterday").status == 2


def test_republish_names_and_refuses_dropped_events_unless_gaps_are_allowed(
    writer: Writer, relay_settings: Settings, log: KafkaLog, republish: Callable[..., Result], database: Database
) -> None:
    publish(writer, relay_settings, ("a", "gone"), ("a",), ("a",))
    execute(database, "DELETE FROM exit_qualification.outbox_event WHERE key = 'gone' OR key = 'a' AND sequence < 3")
    before = len(log.to_the_end())
    dry = republish("--dry-run", "--json")
    assert dry.status == 1
    assert "a 1 to 2 (dropped by retention); gone 1 (dropped by retention)" in dry.err
    assert [each["events"] for each in json.loads(dry.out)["keys"]] == [1]
    assert republish(*REASON).status == 1
    assert len(log.to_the_end()) == before
    assert republish(*REASON, "--allow-gaps").status == 0
    assert [record.sequence for record in log.to_the_end()[before:]] == [3]


def test_a_parked_or_discarded_event_is_never_sent(
    writer: Writer, relay_settings: Settings, log: KafkaLog, republish: Callable[..., Result], database: Database
) -> None:
    publish(writer, relay_settings, ("a",), ("a",), ("a",))
    before = len(log.to_the_end())
    execute(
        database,
        "INSERT INTO exit_qualification.outbox_discarded (event_id, shard, topic, key, sequence, reason, discarded_by)"
        " SELECT event_id, shard, topic, key, sequence, '', 'me' FROM exit_qualification.outbox_event"
        "  WHERE sequence = 2",
    )
    assert "a 2 (discarded)" in republish(*REASON).err
    assert republish(*REASON, "--allow-gaps").status == 0
    assert [record.sequence for record in log.to_the_end()[before:]] == [1, 3]
