"""Relays share the shards, take over from one another, and never overwrite a new owner's progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.process import outboxes_of
from services.outbox_relay.relay import OutboxRelay
from services.outbox_relay.shards.leases import Leases
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.progress_store import ProgressStore
from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.errors import ConfigurationError, Fenced
from shared.ids import new_id
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.runtime.threads import ThreadGroup
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, assert_published_in_order
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import relay_process, running_relay, short_lived
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until

LONG_LEASE_S = 2 * LIMIT_S
"""A hand-over within any limit of a test did not wait for the end of this lease."""


@pytest.fixture
def connection(exit_relay: Settings) -> Iterator[Connection]:
    """A connection as the relay has it."""
    with closing(connect(exit_relay.require_exit_database(), "exit_qualification")) as opened:
        yield opened


def leases_of_another_relay(connection: Connection, lease_s: float = 10) -> Leases:
    """A relay for taking leases alone."""
    leases = Leases(connection, SystemClock(), new_id(), lease_s)
    leases.enlist()
    return leases


def test_two_relays_share_shards_and_keep_key_order(writer: Writer, exit_relay: Settings, log: KafkaLog) -> None:
    with running_relay(exit_relay):
        wait_until(lambda: list(writer.owners().values()) == [64])
        writing = threading.Thread(
            target=writer.write_concurrently, kwargs={"seed": 11, "writers": 6, "transactions": 150, "keys": 40}
        )
        writing.start()
        with running_relay(exit_relay):
            wait_until(lambda: sorted(writer.owners().values()) == [32, 32])
            writing.join()
            records = log.wait_for(len(writer.committed()))
        wait_until(lambda: list(writer.owners().values()) == [64])
    assert_published_in_order(records, writer.committed())
    assert len(records) == len(writer.committed()), "handing shards over repeats nothing"
    assert writer.owners() == {None: 64}


def test_sigterm_hands_over_at_once(writer: Writer, exit_relay: Settings, log: KafkaLog) -> None:
    unhurried = exit_relay.model_copy(update={"relay_lease_s": LONG_LEASE_S})
    with relay_process(unhurried) as process:
        wait_until(lambda: list(writer.owners().values()) == [64])
        writer.write("before")
        log.wait_for(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert writer.owners() == {None: 64}
    with running_relay(unhurried):
        writer.write("after")
        records = log.wait_for(2)
    assert_published_in_order(records, writer.committed())
    assert len(records) == 2


def test_sigterm_under_load_hands_over_at_once_and_repeats_nothing(
    writer: Writer, exit_relay: Settings, log: KafkaLog
) -> None:
    unhurried = exit_relay.model_copy(update={"relay_lease_s": LONG_LEASE_S})
    with relay_process(unhurried) as first, relay_process(unhurried):
        wait_until(lambda: sorted(writer.owners().values()) == [32, 32])
        writing = threading.Thread(
            target=writer.write_concurrently, kwargs={"seed": 3, "writers": 4, "transactions": 150, "keys": 40}
        )
        writing.start()
        log.wait_for(100)
        first.send_signal(signal.SIGTERM)
        assert first.wait(LIMIT_S) == 0
        wait_until(lambda: list(writer.owners().values()) == [64])
        writing.join()
        records = log.wait_for(len(writer.committed()))
        wait_until(lambda: writer.unpublished() == 0)
    records = log.to_the_end()
    assert_published_in_order(records, writer.committed())
    assert len(records) == len(writer.committed()), "what was acknowledged is on record"


def test_continued_relay_hears_immediate_stop_request(writer: Writer, exit_relay: Settings) -> None:
    with relay_process(exit_relay) as process:
        wait_until(lambda: None not in writer.owners())
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert writer.owners() == {None: 64}


def test_a_killed_relay_is_replaced_once_its_lease_is_over(writer: Writer, exit_relay: Settings, log: KafkaLog) -> None:
    with relay_process(short_lived(exit_relay)) as process:
        wait_until(lambda: list(writer.owners().values()) == [64])
        with running_relay(exit_relay):
            wait_until(lambda: sorted(writer.owners().values()) == [32, 32])
            process.send_signal(signal.SIGKILL)
            writer.write(*[f"key-{n}" for n in range(300)])
            wait_until(lambda: list(writer.owners().values()) == [64])
            records = log.wait_for(300)
    assert_published_in_order(records, writer.committed())


def test_a_dead_relay_counts_until_its_own_lease_ends(connection: Connection) -> None:
    dead = leases_of_another_relay(connection, lease_s=0.001)
    dead.acquire(64)
    other = leases_of_another_relay(connection, lease_s=LONG_LEASE_S)
    wait_until(lambda: other.census().fair_share() == 64)
    other.acquire(64)
    assert len(other.held) == other.census().fair_share() == 64


def test_a_relay_with_a_longer_lease_counts_although_not_seen(connection: Connection) -> None:
    slow = leases_of_another_relay(connection, lease_s=LONG_LEASE_S)
    slow.acquire(32)
    connection.execute("UPDATE outbox_relay SET seen_at = seen_at - interval '11 s'")
    assert leases_of_another_relay(connection).census().relays == 2


def test_paused_shards_are_let_go_and_not_taken(writer: Writer, exit_relay: Settings, database: Database) -> None:
    with running_relay(exit_relay):
        wait_until(lambda: list(writer.owners().values()) == [64])
        with psycopg.connect(database.admin_url) as admin:
            admin.execute("UPDATE exit_qualification.outbox_shard SET paused = true WHERE shard < 10")
        wait_until(lambda: writer.owners()[None] == 10)
        wait_until(lambda: sorted(writer.owners().values()) == [10, 54])


def test_relay_without_its_shards_cannot_record_renew_or_release(
    connection: Connection,
) -> None:
    late = leases_of_another_relay(connection, lease_s=0.001)
    lost = late.acquire(2)
    other = leases_of_another_relay(connection)
    wait_until(lambda: other.acquire(64) is not None and {s.shard for s in lost} <= other.held.keys())
    before = progress(connection)

    lost[0].acknowledgements.progress = Progress("5:5:", "6:6:", 10**9)
    with pytest.raises(Fenced):
        ProgressStore(connection).record(lost)
    with pytest.raises(Fenced):
        late.renew()
    late.release(lost)
    assert progress(connection) == before


def progress(connection: Connection) -> list[tuple[object, ...]]:
    """Everything on record."""
    return connection.execute("SELECT * FROM outbox_shard ORDER BY shard").fetchall()


def test_a_lease_that_ran_out_is_not_worked_under(connection: Connection) -> None:
    leases = leases_of_another_relay(connection, lease_s=0.001)
    leases.acquire(1)
    wait_until(lambda: leases.runs_out_at < SystemClock().monotonic())
    with pytest.raises(Fenced):
        leases.refuse_if_run_out()


def test_progress_from_another_server_is_refused(connection: Connection, database: Database) -> None:
    with psycopg.connect(database.admin_url) as admin:
        admin.execute(
            "UPDATE exit_qualification.outbox_shard SET snap = '900000000:900000000:'::pg_snapshot WHERE shard = 5"
        )
    with pytest.raises(ConfigurationError, match=r"beyond this server's.*exitflow outbox rebase"):
        leases_of_another_relay(connection)


def test_process_ends_with_refusal_of_any_outbox(
    relay_settings: Settings, topics: TopicNames, database: Database
) -> None:
    with psycopg.connect(database.admin_url) as admin:
        admin.execute("UPDATE trade_management.outbox_shard SET snap = '900000000:900000000:'::pg_snapshot")
    group = ThreadGroup(Stop())
    for source in outboxes_of(relay_settings):
        group.add(source.name, OutboxRelay(source, relay_settings, SystemClock(), new_id(), Health()).run)
    with pytest.raises(ConfigurationError, match="exitflow outbox rebase"), group:
        group.stop.wait()
    with psycopg.connect(database.admin_url) as admin:
        owners = admin.execute("SELECT DISTINCT owner FROM exit_qualification.outbox_shard").fetchall()
    assert owners == [(None,)], "the other outbox was handed over"
