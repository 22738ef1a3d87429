"""Partitions are made ahead, closed when published, dropped when old; writers are never refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from services.outbox_relay.relay import OutboxSource
from services.outbox_relay.retention.maintenance import Retention, maintain
from services.outbox_relay.retention.partitions import Partitions
from shared.runtime.health import Health
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.integration.outbox_relay.retention.conftest import SCHEMA, Rig, one
from tests.support.waiting import LIMIT_S, wait_until

DEFAULT = "outbox_event_default"


def test_partitions_cover_today_and_coming_days_and_take_rows(rig: Rig) -> None:
    today = rig.today()
    made = maintain(rig.partitions(), ahead=3)
    assert [made[f"{today + timedelta(days=n)}"] for n in range(4)] == ["made"] * 4
    rig.write()
    (place,) = rig.places()
    assert place != DEFAULT
    assert rig.partitions().missing_days(2) == []


def test_day_with_events_in_default_is_skipped_and_next_made(rig: Rig) -> None:
    rig.write()
    today = rig.today()
    made = maintain(rig.partitions(), ahead=1)
    assert made[f"{today}"] == "in default"
    assert made[f"{today + timedelta(days=1)}"] == "made"
    rig.write(rig.days_ago(-1))
    assert rig.places()[DEFAULT] == 1


def test_partitions_are_never_made_for_past_or_distant_future(rig: Rig) -> None:
    for days in (-1, 32):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            rig.partitions().make(rig.today() + timedelta(days=days))


def test_writer_bound_for_default_survives_creation_of_todays_partition(rig: Rig) -> None:
    with ThreadPoolExecutor(1) as thread:
        with rig.migrator.transaction():
            rig.migrator.execute("LOCK TABLE outbox_event_default IN SHARE MODE")
            writing = thread.submit(rig.write)
            wait_until(lambda: bool(one(rig.relay, "SELECT count(*) FROM pg_locks WHERE NOT granted")))
            assert Partitions(rig.migrator, 7).make(rig.today()) == "busy"
        writing.result(LIMIT_S)
    assert rig.places() == {DEFAULT: 1}


def test_a_clock_that_jumps_does_not_refuse_writers(rig: Rig) -> None:
    maintain(rig.partitions(), ahead=3)
    for days in (20_000, -20_000):
        rig.write(rig.days_ago(days))
    assert rig.places() == {DEFAULT: 2}


def test_published_day_is_closed_when_over_and_dropped_when_old(rig: Rig) -> None:
    old, yesterday = (rig.partition_of(rig.days_ago(days)) for days in (9, 1))
    for days in (9, 1):
        rig.write(rig.days_ago(days))
    rig.write()
    rig.publish_all()

    first = maintain(rig.partitions(), ahead=1)
    assert (first[old], first[yesterday]) == ("dropped", "closed")
    assert rig.places() == {yesterday: 1, DEFAULT: 1}
    assert one(rig.writer, "SELECT count(*) FROM outbox_history") == 2
    states = {part.name: part.state for part in rig.partitions().catalogue()}
    assert states[yesterday] == "closed"
    assert old not in states


def test_without_a_retention_nothing_is_dropped(rig: Rig) -> None:
    old = rig.partition_of(rig.days_ago(9))
    rig.publish_all()
    maintain(rig.partitions(retention_days=0), ahead=1)
    assert {part.name: part.state for part in rig.partitions().catalogue()}[old] == "closed"


def test_late_writes_to_closed_day_go_to_default(rig: Rig) -> None:
    yesterday = rig.partition_of(rig.days_ago(1))
    rig.publish_all()
    assert rig.partitions().close(yesterday) == "closed"
    rig.write(rig.days_ago(1))
    assert rig.places() == {DEFAULT: 1}


def test_only_the_shards_that_still_need_a_partition_hold_it(rig: Rig) -> None:
    at = rig.days_ago(9)
    name = rig.partition_of(at)
    rig.relay.execute("UPDATE outbox_shard SET paused = true WHERE shard IN (5, 6)")
    for shard in (4, 5):
        rig.write(at, shard)
    assert rig.partitions().close(name) == "unpublished"
    rig.publish_all()

    assert rig.partitions().close(name) == "unpublished"
    assert {part.name: list(part.held_by) for part in rig.partitions().catalogue()}[name] == [5]
    rig.relay.execute("UPDATE outbox_shard SET paused = false")
    rig.publish_all()
    assert rig.partitions().close(name) == "closed"


def test_a_paused_shard_that_holds_retention_is_counted(rig: Rig, relay_settings: Settings) -> None:
    at = rig.days_ago(9)
    rig.partition_of(at)
    rig.relay.execute("UPDATE outbox_shard SET paused = true WHERE shard = 5")
    rig.write(at, 5)
    rig.publish_all()
    source = OutboxSource("exit", SCHEMA, relay_settings.require_exit_database())
    retention = Retention(source, relay_settings, Health())

    retention.look_after()
    assert _sample("outbox_retention_held", reason="paused") == 1
    assert _sample("outbox_partitions", state="live") == 5
    rig.relay.execute("UPDATE outbox_shard SET paused = false")
    rig.publish_all()
    retention.look_after()
    assert _sample("outbox_retention_held", reason="paused") == 0
    assert _sample("outbox_partitions", state="live") == 4


def test_one_relay_at_a_time_looks_after_the_partitions(rig: Rig) -> None:
    assert rig.partitions().try_lock()
    assert not Partitions(rig.writer, 7).try_lock()


CHECK_UNDER_LOCK = "IF outbox_partition_largest_xid(name) >= looked_at THEN"


@pytest.mark.parametrize(
    ("under_lock", "outcome", "place"),
    [
        pytest.param(CHECK_UNDER_LOCK, "busy", "live", id="checked under the lock"),
        pytest.param("IF false THEN", "closed", "closed", id="planted: checked before the lock alone"),
    ],
)
def test_closing_partition_loses_no_commit_made_during_lock_wait(
    rig: Rig, under_lock: str, outcome: str, place: str
) -> None:
    at = rig.days_ago(9)
    name = rig.partition_of(at)
    rig.publish_all()
    definition = str(one(rig.migrator, "SELECT pg_get_functiondef('outbox_close_partition'::regproc)"))
    assert CHECK_UNDER_LOCK in definition
    patient = definition.replace("'2s'", "'30s'").replace(CHECK_UNDER_LOCK, under_lock)
    rig.migrator.execute(patient.encode())
    outcomes: list[str] = []
    closing = threading.Thread(target=lambda: outcomes.append(rig.partitions().close(name)))

    with rig.writer.transaction():
        rig.write(at)
        closing.start()
        wait_until(lambda: bool(one(rig.migrator, "SELECT count(*) FROM pg_locks WHERE NOT granted")))
    closing.join(LIMIT_S)

    assert outcomes == [outcome]
    assert {part.name: part.state for part in Partitions(rig.writer, 7).catalogue()}[name] == place


def test_quiet_shard_lets_partition_close_after_older_transactions(rig: Rig) -> None:
    at = rig.days_ago(9)
    name = rig.partition_of(at)
    with rig.migrator.transaction():
        rig.migrator.execute("SELECT pg_current_xact_id()")
        rig.write(at)
        rig.publish_all(beside_others=True)
        assert rig.partitions().close(name) == "busy"
    wait_until(lambda: rig.partitions().close(name) == "closed", "it closes, autovacuum's transactions over as well")


def test_a_writer_keeps_a_partition_only_until_the_next_round(rig: Rig) -> None:
    at = rig.days_ago(9)
    name = rig.partition_of(at)
    rig.publish_all()
    with rig.writer.transaction():
        rig.write(at)
        assert rig.partitions().close(name) == "busy"
    assert rig.partitions().close(name) == "unpublished"
    rig.publish_all()
    assert rig.partitions().close(name) == "closed"


def test_partition_closes_only_where_statements_see_latest_commits(rig: Rig) -> None:
    name = rig.partition_of(rig.days_ago(9))
    rig.publish_all()
    rig.relay.execute("SET default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.errors.InvalidTransactionState):
        rig.partitions().close(name)
    with pytest.raises(psycopg.errors.InvalidTransactionState):
        rig.partitions().empty_default()


def test_default_partition_is_emptied_once_all_is_published_and_old(rig: Rig) -> None:
    partitions = rig.partitions()
    assert partitions.empty_default() == "empty"
    rig.write(rig.days_ago(20_000))
    assert partitions.empty_default() == "unpublished"
    rig.publish_all()
    rig.write(rig.days_ago(-20_000))
    assert partitions.empty_default() == "unpublished"
    rig.publish_all()
    assert partitions.empty_default() == "young"
    rig.migrator.execute("DELETE FROM outbox_event WHERE created_at > now()")
    assert partitions.empty_default() == "emptied"
    assert rig.places() == {}


def test_emptying_default_loses_no_row_written_meanwhile(rig: Rig) -> None:
    rig.write(rig.days_ago(20_000))
    rig.publish_all()
    rig.migrator.execute("ALTER FUNCTION outbox_empty_default SET lock_timeout = '30s'")
    outcomes: list[str] = []
    emptying = threading.Thread(target=lambda: outcomes.append(rig.partitions().empty_default()))

    with rig.writer.transaction():
        rig.write(rig.days_ago(20_000))
        emptying.start()
        wait_until(lambda: bool(one(rig.migrator, "SELECT count(*) FROM pg_locks WHERE NOT granted")))
    emptying.join(LIMIT_S)

    assert outcomes == ["busy"]
    assert rig.places() == {DEFAULT: 2}


def _sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"outbox": "exit", **labels})


def test_partition_check_reads_no_published_rows_beside_old_transaction(rig: Rig) -> None:
    name = rig.partition_of(rig.days_ago(1))
    with rig.relay.transaction():
        oldest = one(rig.relay, "SELECT pg_current_xact_id()::text")
        for _ in range(200):
            rig.write(rig.days_ago(1))
        beyond = one(rig.writer, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        rig.relay.execute("UPDATE outbox_shard SET snap = %s::pg_snapshot", (f"{oldest}:{beyond}:{oldest}",))
    with rig.migrator.transaction():
        held_by = rig.migrator.execute("SELECT outbox_partition_held_by(%s)", (name,)).fetchone()
        assert held_by == ([],)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = %s"
        assert rig.migrator.execute(read, (name,)).fetchone() == (0,)
