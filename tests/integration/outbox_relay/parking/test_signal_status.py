"""A signal is published once the relay has passed it, unless its event is parked or was discarded."""

from __future__ import annotations

import psycopg
import pytest

from shared.contracts.exits import ExitSignalPublished
from tests.integration.cli.consistent_system import SoundSystem
from tests.support.servers import Database


@pytest.fixture
def system(database: Database) -> SoundSystem:
    """A system with all its events past the relay."""
    sound = SoundSystem(database)
    sound.make()
    sound.execute("UPDATE exit_qualification.outbox_shard SET snap = pg_current_snapshot()")
    return sound


def status(database: Database) -> str:
    """The view's row of the one signal."""
    with psycopg.connect(database.admin_url) as connection:
        row = connection.execute("SELECT status FROM exit_qualification.exit_signal_status").fetchone()
    assert row is not None
    return str(row[0])


def test_a_signal_that_the_relay_has_passed_is_published(system: SoundSystem, database: Database) -> None:
    assert status(database) == "PUBLISHED"


def test_one_that_is_parked_is_not(system: SoundSystem, database: Database) -> None:
    system.park(ExitSignalPublished)
    assert status(database) == "DETECTED"


def test_nor_is_one_that_was_discarded(system: SoundSystem, database: Database) -> None:
    system.discard(ExitSignalPublished)
    assert status(database) == "DETECTED"
