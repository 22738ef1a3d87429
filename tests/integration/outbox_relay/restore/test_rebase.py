"""After pg_dump and pg_restore the relay publishes the unpublished events, in order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from services.outbox_relay.database.connection import connect
from services.outbox_relay.restore.rebase import Permissions
from services.outbox_relay.retention.maintenance import maintain
from services.outbox_relay.retention.partitions import Partitions
from services.outbox_relay.shards.server_identity import refuse_foreign_progress
from shared.errors import ConfigurationError, Conflict
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.relays import running_relay
from tests.integration.outbox_relay.restore.conftest import Restored, rebased, relay_of
from tests.integration.outbox_relay.restore.history import SCHEMA, assert_published_to_the_end
from tests.support.waiting import wait_until

Restore = Callable[[bool], Restored]

DIRECTIONS = [
    pytest.param(True, id="on a server with lower numbers"),
    pytest.param(False, id="on a server with higher numbers"),
]


@pytest.mark.parametrize("to_lower", DIRECTIONS)
def test_what_was_unpublished_is_published_in_order_and_nothing_else(
    to_lower: bool, restore: Restore, exit_relay: Settings, log: KafkaLog
) -> None:
    database, history = restore(to_lower)
    relay = relay_of(database, exit_relay)
    with closing(connect(relay.require_exit_database(), SCHEMA)) as connection:
        with pytest.raises(ConfigurationError, match="came from another server"):
            refuse_foreign_progress(connection)
        before = rebased(database)
        refuse_foreign_progress(connection)
        assert history.partitions()["outbox_event_old"] == "closed"
        assert maintain(Partitions(connection, 7), ahead=1)["outbox_event_old"] == "dropped"
    assert before.is_needed
    assert before.is_beyond == to_lower
    assert (before.unpublished, before.new) == (len(history.unpublished), 0)
    assert not rebased(database).is_needed
    signals = history.signals()
    assert [signals[key] for key in history.keys[:20]] == ["PUBLISHED"] * 10 + ["DETECTED"] * 10

    with running_relay(relay):
        published = log.wait_for(len(history.unpublished))
        assert {record.event_id for record in published} == history.unpublished
        assert len(published) == len(history.unpublished)

        history.writer.write_concurrently(seed=1, writers=4, transactions=20, keys=10)
        history.writer.write(*history.keys, *history.late)
        committed = history.writer.committed()
        records = log.wait_for(len(committed) - (before.events - before.unpublished))
        assert_published_to_the_end(records, committed)
        wait_until(lambda: set(history.signals().values()) == {"PUBLISHED"})
    assert history.parked() == 1


def test_rebase_refuses_earlier_events_unless_repetition_is_allowed(
    restore: Restore, exit_relay: Settings, log: KafkaLog
) -> None:
    database, history = restore(True)
    old = set(history.writer.committed())
    for _ in range(3):
        history.writer.write(*history.keys)
    with pytest.raises(Conflict, match="this server has written 240 events"):
        rebased(database)

    rebased(database, Permissions(force=True, publish_new=True))
    expected = history.unpublished | (set(history.writer.committed()) - old)
    with running_relay(relay_of(database, exit_relay)):
        records = log.wait_for(len(expected))
    assert {record.event_id for record in records} == expected
    assert_published_to_the_end(records, history.writer.committed())


def test_numbers_of_server_beyond_dump_may_be_kept(restore: Restore, exit_relay: Settings, log: KafkaLog) -> None:
    database, history = restore(False)
    history.writer.write(*history.keys)
    rebased(database, Permissions(force=True, adopt=True))
    expected = len(history.unpublished) + len(history.keys)
    with running_relay(relay_of(database, exit_relay)):
        records = log.wait_for(expected)
    assert len(records) == expected
    assert_published_to_the_end(records, history.writer.committed())


def test_numbers_beyond_the_server_are_never_kept(restore: Restore) -> None:
    database, _ = restore(True)
    with pytest.raises(Conflict, match="Run without --adopt"):
        rebased(database, Permissions(force=True, adopt=True))


def test_a_connected_service_makes_it_refuse(restore: Restore) -> None:
    database, _ = restore(True)
    with psycopg.connect(database.relay_exit_url), pytest.raises(Conflict, match=r"exitflow_relay \(1\)"):
        rebased(database, Permissions())
