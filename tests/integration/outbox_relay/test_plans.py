"""The relay's statements find their rows by an index, whatever the tables hold and whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from services.outbox_relay import backlog_metrics
from services.outbox_relay.database import statements
from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.parking import statements as parking_statements
from services.outbox_relay.process import outboxes_of
from shared.outbox.operations import PARKED, SHARDS
from shared.settings import Settings
from tests.support.plans import generic_plan, whole_table_scans
from tests.support.servers import Database

FILL = """
INSERT INTO exit_qualification.outbox_event
       (event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent, payload,
        created_at)
SELECT gen_random_uuid(), n % 64, 'topic', 'key-' || n, n, 'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01',
       '{}', clock_timestamp() - interval '1 day' * (n % 4) FROM generate_series(1, 5000) n;
INSERT INTO exit_qualification.outbox_parked
       (event_id, shard, id, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time, traceparent, payload,
        reason, request)
SELECT gen_random_uuid(), n % 64, n, 'topic', 'key-' || n % 50, n,
       'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01', '{}', 'too large',
       CASE WHEN n % 20 = 0 THEN 'REPLAY' END FROM generate_series(1, 5000) n;
SELECT exit_qualification.outbox_make_partition(current_date + n) FROM generate_series(1, 3) n;
ANALYZE exit_qualification.outbox_event, exit_qualification.outbox_parked, exit_qualification.outbox_shard;
"""

HOT = {
    **{
        name: getattr(statements, name)
        for name in (
            *("CENSUS", "ACQUIRE", "RENEW", "RELEASE", "READ_WINDOWS", "READ_NEWS", "RECORD", "FORGET_DEAD", "ENLIST"),
        )
    },
    **{
        name: getattr(parking_statements, name)
        for name in (
            *("PARKED_KEYS", "PARK", "REQUESTED", "HOLD", "LOCK", "KEEP_DISCARDED", "DELETE"),
            *("REFUSE_AGAIN", "WITHDRAW", "WITHDRAW_TOPICS", "FOLLOW", "LEFT"),
        )
    },
    "BACKLOG_OF_ALL": backlog_metrics.BACKLOG_OF_ALL,
    "PARKED_OF_ALL": backlog_metrics.PARKED_OF_ALL,
}
PARTITIONS = 4
"""Three days and the default one."""

READ_WHOLE = {"outbox_shard", "outbox_relay"}
"""64 rows and a row a relay."""


@pytest.fixture
def filled(database: Database, exit_relay: Settings) -> Iterator[Connection]:
    """A connection as the relay has it, to an outbox with partitions, events and parked events."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(FILL)
    with closing(connect(exit_relay.require_exit_database(), "exit_qualification")) as connection:
        yield connection


def test_no_relay_statement_scans_all_events(filled: Connection) -> None:
    scans = {name: whole_table_scans(generic_plan(filled, statement)) for name, statement in HOT.items()}
    assert {name: tables for name, tables in scans.items() if not tables <= READ_WHOLE} == {}


def test_the_relay_does_not_need_to_forbid_such_scans(filled: Connection) -> None:
    filled.execute("RESET enable_seqscan")
    looks = ("READ_WINDOWS", "READ_NEWS", "BACKLOG_OF_ALL", "REQUESTED", "LOCK", "LEFT", "DELETE")
    scans = {name: whole_table_scans(generic_plan(filled, HOT[name])) for name in looks}
    assert {name: tables for name, tables in scans.items() if not tables <= READ_WHOLE} == {}


@pytest.mark.parametrize("name", ["READ_WINDOWS", "READ_NEWS", "BACKLOG_OF_ALL"])
def test_events_are_found_by_shard_and_transaction_in_every_partition(filled: Connection, name: str) -> None:
    plan = generic_plan(filled, HOT[name])
    found = [line for line in plan.splitlines() if "Index Cond" in line and "outbox_shard" not in line]
    of_events = [line for line in found if "xid" in line]
    assert len(of_events) == 2 * PARTITIONS, plan
    assert all("(shard = " in line for line in of_events), plan


@pytest.mark.parametrize("name", ["READ_WINDOWS", "READ_NEWS", "BACKLOG_OF_ALL"])
def test_shard_snapshot_expressions_are_not_computed_once_for_all(filled: Connection, name: str) -> None:
    assert "InitPlan" not in generic_plan(filled, HOT[name])


def test_progress_and_leases_are_written_by_shard_key(filled: Connection) -> None:
    for name in ("RENEW", "RELEASE", "RECORD", "HOLD"):
        assert "outbox_shard_pkey" in generic_plan(filled, HOT[name]), name


def test_the_measurement_counts_no_further_than_its_limit(filled: Connection, exit_relay: Settings) -> None:
    (source,) = outboxes_of(exit_relay)
    with closing(backlog_metrics.open_connection(source)) as connection:
        assert "Bitmap" not in generic_plan(connection, HOT["BACKLOG_OF_ALL"])
        measured = backlog_metrics.measure(connection)
    assert measured.backlog == measured.parked == 5000


def test_what_operators_look_at_is_found_by_an_index(filled: Connection) -> None:
    filled.execute("RESET enable_seqscan")
    assert "outbox_event" not in " ".join(whole_table_scans(generic_plan(filled, SHARDS)))
    assert whole_table_scans(generic_plan(filled, PARKED)) == set()
