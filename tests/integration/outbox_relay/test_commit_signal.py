"""Writers notify a resting relay, and no other one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from services.outbox_relay.database.connection import Connection, connect
from services.outbox_relay.reading import news_wait
from services.outbox_relay.reading.commit_signal import CommitSignal
from shared.clock import SystemClock
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import running_relay
from tests.support.waiting import LIMIT_S, wait_until

SCHEMA = "exit_qualification"
PAST_S = 0.05
"""Time for the arrival of an earlier commit's notification."""

NEVER = Stop()


@pytest.fixture
def connections(exit_relay: Settings) -> Iterator[list[Connection]]:
    """The connections of two relays of one outbox."""
    with ExitStack() as opened:
        url = exit_relay.require_exit_database()
        yield [opened.enter_context(closing(connect(url, SCHEMA))) for _ in range(2)]


@pytest.fixture
def signals(connections: list[Connection]) -> list[CommitSignal]:
    """Their signals."""
    return [CommitSignal(connection, SCHEMA, SystemClock()) for connection in connections]


def test_a_commit_wakes_a_relay_that_rests(writer: Writer, signals: list[CommitSignal]) -> None:
    signal, _ = signals
    signal.arm()
    assert signal.is_armed
    assert not signal.wait(PAST_S, NEVER)
    writer.write("a")
    assert signal.wait(LIMIT_S, NEVER)


def test_a_commit_during_a_look_wakes_the_relay(
    writer: Writer, signals: list[CommitSignal], connections: list[Connection]
) -> None:
    signal, connection = signals[0], connections[0]
    signal.arm()
    for _ in range(3):
        writer.write("a")
        connection.execute("SELECT pg_sleep(0.05)")  # the notification comes with the answer
        assert signal.wait(LIMIT_S, NEVER)
    assert not signal.wait(PAST_S, NEVER)


def test_a_writer_sends_no_notification_while_no_relay_rests(writer: Writer, signals: list[CommitSignal]) -> None:
    signal, other = signals
    signal.arm()
    signal.disarm()
    writer.write("a")
    other.arm()
    assert other.is_armed
    assert not other.wait(PAST_S, NEVER)


def test_no_relay_starts_rest_while_writer_is_uncommitted(writer: Writer, signals: list[CommitSignal]) -> None:
    signal, _ = signals
    with writer.engine.connect() as connection:
        writer.append(connection, ["a"])
        signal.arm()
        assert not signal.is_armed, "no relay would be notified of the commit"
        connection.rollback()
    signal.arm()
    assert signal.is_armed


def test_one_relay_rests_and_the_others_poll(signals: list[CommitSignal]) -> None:
    first, second = signals
    first.arm()
    second.arm()
    assert (first.is_armed, second.is_armed) == (True, False)
    first.disarm()
    second.arm()
    assert second.is_armed


def test_a_relay_that_is_told_to_stop_ends_its_rest(signals: list[CommitSignal]) -> None:
    signal, _ = signals
    signal.arm()
    stop = Stop()
    stop.set()
    assert not signal.wait(3600, stop)


def test_a_resting_relay_publishes_what_is_committed(
    writer: Writer, log: KafkaLog, exit_relay: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news_wait, "LONGEST_REST_S", 3600.0)  # longer than anything below waits
    with running_relay(exit_relay.model_copy(update={"relay_lease_s": 600.0})):
        for events in (1, 2):
            wait_until(writer.a_relay_rests)
            writer.write("a")
            log.wait_for(events)
