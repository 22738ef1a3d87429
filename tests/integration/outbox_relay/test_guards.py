"""The cost of publishing, in figures equal on every machine. Each bound names the measured figure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import scalar_row

from deploy.local.kafka.broker import Broker
from services.outbox_relay.reading.row_stream import RowStream
from services.outbox_relay.reading.windows import ROWS_PER_CHUNK
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.integration.outbox_relay.conversation import Conversation, overheard
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay, stopped
from tests.support.servers import Database
from tests.support.waiting import wait_until

EVENTS = 20_000

FILL = """
INSERT INTO exit_qualification.outbox_event
       (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent, payload)
SELECT gen_random_uuid(), hashtextextended(key, 0) & 63, %(topic)s, key, n,
       'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01', '{}'
  FROM (SELECT n, 'key-' || n AS key FROM generate_series(1, %(events)s) n) written
"""

Admin = psycopg.Connection[Any]


@pytest.fixture
def admin(database: Database) -> Iterator[Admin]:
    """The test's database as its owner sees it; queries return their one value."""
    with psycopg.connect(database.admin_url, autocommit=True, row_factory=scalar_row) as connection:
        yield connection


@pytest.fixture
def backlog(admin: Admin, topics: TopicNames) -> int:
    """20,000 committed events, vacuumed: reading them writes no hint bits."""
    fill(admin, topics)
    admin.execute("VACUUM (ANALYZE) exit_qualification.outbox_event")
    return EVENTS


def fill(admin: Admin, topics: TopicNames) -> None:
    """Commit 20,000 events, four of each key."""
    for _ in range(4):
        admin.execute(FILL, {"topic": topics.on_cluster(EXIT_INTENTS), "events": EVENTS // 4})


@pytest.fixture
def conversation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Conversation]:
    """The relay's messages to the database."""
    with overheard(monkeypatch, tmp_path) as heard:
        yield heard


def published() -> float:
    """Events of the exit outbox published by relays of this process."""
    return REGISTRY.get_sample_value("outbox_published_total", {"outbox": "exit"}) or 0


def test_a_drained_backlog_costs_a_few_statements_per_thousand_events(
    backlog: int, writer: Writer, exit_relay: Settings, conversation: Conversation
) -> None:
    before = published()
    with running_relay(exit_relay):
        began = time.monotonic()
        wait_until(lambda: published() - before == backlog)
        took_s, statements = time.monotonic() - began, conversation.statements()
    # By time: 20 looks, 10 records, 4 censuses a second, a renewal each third of a lease (34 a second when idle).
    # By events: a record each half of the limit in flight (1 per 1,000); measured: under 5 per 1,000 in all.
    assert statements <= 40 * took_s + 2 * backlog / 1000 + 20


def test_publishing_writes_little_wal_and_changes_no_event(
    backlog: int, writer: Writer, exit_relay: Settings, admin: Admin
) -> None:
    begin = admin.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    with running_relay(exit_relay):
        wait_until(lambda: writer.unpublished() == 0)
        written = admin.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::int8", (begin,)).fetchone()
    # Measured: 2.5 bytes over 10,000 events. One row changed per event would be more than 100.
    assert written is not None
    assert written / backlog < 10
    of_events = "FROM pg_stat_user_tables WHERE schemaname = 'exit_qualification' AND relname LIKE 'outbox_event%'"
    wait_until(lambda: admin.execute(f"SELECT sum(n_tup_ins) {of_events}").fetchone() == backlog)
    assert admin.execute(f"SELECT sum(n_tup_upd + n_tup_del) {of_events}").fetchone() == 0


def test_idle_relay_bounds_database_queries_per_second(
    writer: Writer, exit_relay: Settings, conversation: Conversation
) -> None:
    with running_relay(exit_relay):
        wait_until(writer.a_relay_rests)
        began, before = time.monotonic(), conversation.statements()
        wait_until(lambda: conversation.statements() >= before + 40)
        took_s = time.monotonic() - began
    # Each 0.6 s a look and a census, each 2 s a renewal of 5 statements: 7 a second were measured.
    assert (40 - 15) / took_s < 15


def make_both_producers_known(writer: Writer, admin: Admin) -> None:
    """Publish to every partition, as the first record goes alone, once the partition of each key is computed here."""
    for events in (1, 500):
        before = published()
        writer.write(*[f"first-{n}" for n in range(events)])
        wait_until(lambda: published() - before == events)  # noqa: B023  # it is waited for at once
        wait_until(lambda: admin.execute("SELECT count(*) FROM exit_qualification.outbox_topic").fetchone() == 1)


def test_relay_bounds_held_events_while_kafka_stands_still(
    writer: Writer,
    exit_relay: Settings,
    kafka: Broker,
    admin: Admin,
    topics: TopicNames,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = exit_relay.model_copy(update={"relay_batch_size": 2000})
    taken = 0
    take = RowStream.take

    def counted(stream: RowStream, wait_s: float) -> Sequence[tuple[Any, ...]]:
        nonlocal taken
        rows = take(stream, wait_s)
        taken += len(rows)
        return rows

    monkeypatch.setattr(RowStream, "take", counted)
    before = published()
    assert kafka.pid is not None
    with running_relay(narrow) as relay:
        make_both_producers_known(writer, admin)
        with stopped(kafka.pid):
            fill(admin, topics)
            wait_until(lambda: taken - (published() - before) > 2000 - ROWS_PER_CHUNK, "it reads what it may")
            # By then it has long read on, if it does: a stream is given up after 2 s, silence is said after 5.
            wait_until(lambda: "Kafka does not answer" in relay.health.problems().get("relay exit", ""))
            held = taken - (published() - before)
    assert held <= 2000 + ROWS_PER_CHUNK
