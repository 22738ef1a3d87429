"""PostgreSQL goes and comes back: in order, by a crash, for a while. It is a server of these tests alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.processes.ports import free_port
from shared.ids import new_secret
from shared.settings import Settings
from tests.chaos.outbox_relay.checker import judge
from tests.integration.outbox_relay.kafka_log import KafkaLog
from tests.integration.outbox_relay.outbox_writer import Writer
from tests.integration.outbox_relay.relays import ThreadRelay, running_relay
from tests.support.servers import Databases, server_directory
from tests.support.waiting import wait_until

IN_FLIGHT = 100
EVENTS = 2000
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How a postmaster is told to end: with its sessions, or as if it had crashed."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server with durable acknowledgements."""
    with server_directory("postgres") as directory:
        server = EmbeddedPostgres(directory, free_port(str(directory)), new_secret())
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def databases(postgres: EmbeddedPostgres) -> Iterator[Databases]:
    """The databases of the server."""
    with closing(Databases(postgres)) as found:
        yield found


@pytest.fixture
def narrow(exit_relay: Settings) -> Settings:
    """Few events in flight: the server goes in the middle of them."""
    return exit_relay.model_copy(update={"relay_batch_size": IN_FLIGHT})


def write(writer: Writer) -> int:
    """Events over few keys."""
    for _ in range(EVENTS // 100):
        writer.write(*[f"key-{n % 20}" for n in range(100)])
    return EVENTS


def end(postgres: EmbeddedPostgres, how: signal.Signals) -> None:
    """Return once the server is gone."""
    assert postgres.pid is not None
    os.kill(postgres.pid, how)
    wait_until(lambda: postgres.pid is None)


def complains(relay: ThreadRelay) -> bool:
    """Whether `/readyz` names the problem."""
    return "the database does not answer" in relay.health.problems().get("relay exit", "")


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("how", "most_duplicates"),
    # A crash takes back the progress not on disk yet: up to 0.6 s of it (three times wal_writer_delay).
    [pytest.param(FAST, 2 * IN_FLIGHT, id="fast"), pytest.param(IMMEDIATE, EVENTS, id="immediate")],
)
def test_a_database_that_is_restarted_costs_repetitions_alone(
    how: signal.Signals,
    most_duplicates: int,
    writer: Writer,
    narrow: Settings,
    log: KafkaLog,
    postgres: EmbeddedPostgres,
) -> None:
    write(writer)
    with running_relay(narrow) as relay:
        log.wait_for(EVENTS // 4)
        end(postgres, how)
        wait_until(lambda: complains(relay))
        postgres.start()
        write(writer)
        log.wait_for(2 * EVENTS)
        wait_until(lambda: relay.health.is_ready() and writer.unpublished() == 0)
    verdict = judge(log.to_the_end(), writer.committed(), most_duplicates)
    assert verdict.is_sound, str(verdict)


@pytest.mark.chaos
def test_progress_lost_in_database_crash_is_made_again(
    writer: Writer, narrow: Settings, log: KafkaLog, postgres: EmbeddedPostgres
) -> None:
    with running_relay(narrow) as relay:
        for crash in range(1, 4):
            write(writer)
            log.wait_for(crash * EVENTS)
            end(postgres, IMMEDIATE)
            postgres.start()
            wait_until(relay.health.is_ready)
        wait_until(lambda: writer.unpublished() == 0)
    records, committed = log.to_the_end(), writer.committed()
    verdict = judge(records, committed, most_duplicates=3 * EVENTS)
    assert verdict.is_sound, str(verdict)
