"""A commit and the statement right behind it: one wait, and a failed commit is never taken for success."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.clock import SystemClock
from shared.contracts.events import Event
from shared.contracts.topics import TopicNames
from shared.outbox.after_commit import after_commit
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import open_engine
from shared.postgres.hot_path import Answer, ask, fetch, pipelined, send
from tests.support.servers import Database
from tests.support.signing import SIGNER
from tests.support.statements import waits

TABLES = """
CREATE TABLE twins (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE looks (n int);
"""
ADD = text("INSERT INTO twins SELECT * FROM unnest(CAST(:numbers AS int[]))")
LOOK = text("INSERT INTO looks SELECT count(*) FROM twins RETURNING n")
LOOKS = text("SELECT n FROM looks")
BROKEN = text("SELECT 1 / (count(*) - count(*)) FROM twins")


class Told(Event):
    """An event of these tests alone."""

    topic = "test"
    source = "test"

    @property
    def key(self) -> str:
        """The only key."""
        return "key"

    @property
    def subject(self) -> str:
        """The only subject."""
        return "subject"


told: list[Told] = []


@after_commit(Told)
def _remember(event: Told) -> None:
    told.append(event)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """The database with a constraint that is checked by COMMIT."""
    told.clear()
    engine = open_engine(database.migrator_url, "exit_qualification", application="test")
    with engine.begin() as connection:
        connection.execute(text(TABLES))
    yield engine
    engine.dispose()


def unit(engine: Engine) -> UnitOfWork:
    return UnitOfWork(engine, Outbox(TopicNames(""), SystemClock(), SIGNER))


def look(connection: Connection) -> Answer[list[int]]:
    return ask(connection, LOOK, {}, lambda rows: [n for (n,) in rows])


def found(engine: Engine, query: str = "SELECT n FROM looks") -> list[int]:
    """The rows, as another transaction sees them."""
    with engine.connect() as connection:
        return [n for (n,) in connection.execute(text(query))]


def test_the_statement_behind_a_commit_sees_it_with_one_wait(engine: Engine) -> None:
    with unit(engine) as uow, waits() as waited:
        with pipelined(uow.connection):
            send(uow.connection, ADD, {"numbers": [1, 2]})
            assert uow.commit_then(lambda: look(uow.connection)) == [2]
        assert len(waited) == 1, waited
    assert (found(engine), found(engine, "SELECT n FROM twins")) == ([2], [1, 2])


def test_a_failed_commit_is_told_and_nothing_behind_it_runs(engine: Engine) -> None:
    with unit(engine) as uow, pytest.raises(IntegrityError, match="twins_n_key"), pipelined(uow.connection):
        uow.emit(Told())
        send(uow.connection, ADD, {"numbers": [1, 1]})
        uow.commit_then(lambda: look(uow.connection))
    assert told == []
    for table in ("looks", "twins", "outbox_event"):
        assert found(engine, f"SELECT count(*) FROM {table}") == [0], table


def test_an_error_before_the_commit_stops_both(engine: Engine) -> None:
    with unit(engine) as uow, pytest.raises(DBAPIError, match="division by zero"), pipelined(uow.connection):
        send(uow.connection, ADD, {"numbers": [1]})
        send(uow.connection, BROKEN, {})
        uow.commit_then(lambda: look(uow.connection))
    assert (found(engine), found(engine, "SELECT n FROM twins")) == ([], [])


def test_an_error_behind_the_commit_leaves_it_committed(engine: Engine) -> None:
    with unit(engine) as uow, pytest.raises(DBAPIError, match="division by zero"), pipelined(uow.connection):
        uow.emit(Told())
        send(uow.connection, ADD, {"numbers": [1]})
        uow.commit_then(lambda: ask(uow.connection, BROKEN, {}, len))
    assert found(engine, "SELECT n FROM twins") == [1]
    assert found(engine, "SELECT count(*) FROM outbox_event") == [1]


def test_the_connection_is_as_new_behind_both(engine: Engine) -> None:
    with unit(engine) as uow:
        with pipelined(uow.connection):
            send(uow.connection, ADD, {"numbers": [1]})
            uow.commit_then(lambda: look(uow.connection))
        send(uow.connection, ADD, {"numbers": [3]})
        assert fetch(uow.connection, LOOKS, {}) == [(1,)]
    assert found(engine, "SELECT n FROM twins") == [1], "the second transaction was not committed"
