"""A migration held up by a transaction: others pass between its tries, and it ends with its process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from shared.errors import Unavailable
from shared.postgres.migrations import LockWaits, current_revision, migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, head_revision
from tests.support.product_process import ProductProcess, run
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
BEFORE = "V013"
WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'exitflow-migrate' AND wait_event_type = 'Lock'
"""


@pytest.fixture
def behind(empty_database: Database) -> Database:
    """A database with an exit schema before the revision of the table of events."""
    migrate(empty_database.migrator_url, EXIT_QUALIFICATION, BEFORE)
    return empty_database


@contextmanager
def idle_transaction(database: Database) -> Iterator[None]:
    """While inside, a transaction has read a table changed by the next revision, and does nothing more."""
    with psycopg.connect(database.admin_url) as connection:
        connection.execute("SELECT count(*) FROM exit_qualification.outbox_event")
        yield


def is_waiting(database: Database) -> bool:
    """Return True while a backend of a migration waits for a lock."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        row = admin.execute(WAITING).fetchone()
    return bool(row and row[0])


def test_a_migration_gives_up_after_its_tries_and_changes_nothing(behind: Database) -> None:
    told: list[str] = []
    with idle_transaction(behind), pytest.raises(Unavailable, match=r"a lock was not free in 3 tries of 0.1 s"):
        migrate(behind.migrator_url, EXIT_QUALIFICATION, waits=LockWaits(0.1, 3, 0.01), report=told.append)
    assert [line.partition("; ")[2].partition(",")[0] for line in told] == ["try 1 of 3", "try 2 of 3"]
    assert current_revision(behind.migrator_url, EXIT_QUALIFICATION) == BEFORE


def test_others_pass_while_migration_waits_for_lock_then_finishes(behind: Database) -> None:
    outcome: list[tuple[str | None, str | None]] = []

    def run() -> None:
        waits = LockWaits(0.2, 1000, 0.1)
        outcome.append(migrate(behind.migrator_url, EXIT_QUALIFICATION, waits=waits, report=lambda _: None))

    thread = threading.Thread(target=run)
    with idle_transaction(behind):
        thread.start()
        wait_until(lambda: is_waiting(behind), "the migration waits for the lock")
        with psycopg.connect(behind.relay_exit_url, autocommit=True) as service:
            service.execute("SET lock_timeout = '10s'")
            for _ in range(3):
                service.execute("SELECT count(*) FROM exit_qualification.outbox_event")
    thread.join(LIMIT_S)
    assert outcome == [(BEFORE, head_revision(EXIT_QUALIFICATION))]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_backend_of_a_migration_ends_with_its_process(behind: Database, how: signal.Signals) -> None:
    environment = {
        "EXITFLOW_EXIT_DATABASE_URL": behind.migrator_url,
        "EXITFLOW_TRADE_DATABASE_URL": behind.migrator_url,
    }
    command = ["migrate", "up", "--history", EXIT_QUALIFICATION, "--lock-timeout", "600"]
    with idle_transaction(behind):
        process = ProductProcess(run(*command), environment)
        try:
            wait_until(lambda: is_waiting(behind), "the migration waits for the lock")
        finally:
            process.send_signal(how)
            process.wait(LIMIT_S)
        wait_until(lambda: not is_waiting(behind), "its backend waits no longer")
