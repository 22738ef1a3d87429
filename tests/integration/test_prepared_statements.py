"""A statement is planned once for a connection: to plan it takes longer than to execute it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from shared.clock import SystemClock
from shared.contracts.topics import TopicNames
from shared.outbox.unit_of_work import UnitOfWork
from shared.outbox.writing import Outbox
from shared.postgres.engine import BY_INDEX, open_engine
from shared.postgres.engine import look as each_alone
from shared.postgres.hot_path import fetch
from tests.support.servers import Database
from tests.support.signing import SIGNER

LOOK = text("-- test.look\nSELECT count(*) FROM tick_symbols")
FAIL = text("SELECT 1 / 0")
PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '-- test.look%'")
REPEATED = 6
"""More often than the driver repeats a statement before it prepares it."""


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.exit_url, "exit_qualification", application="test", pool_size=1, planner=BY_INDEX)
    yield engine
    engine.dispose()


def prepared(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(PREPARED).scalar_one())


def look(connection: Connection) -> None:
    fetch(connection, LOOK, {})


def rolled_back(engine: Engine) -> None:
    with engine.connect() as connection:
        look(connection)
        connection.rollback()


def read_in_a_unit_of_work(engine: Engine) -> None:
    with UnitOfWork(engine, Outbox(TopicNames(), SystemClock(), SIGNER)) as uow:
        look(uow.connection)


@pytest.mark.parametrize("end", [rolled_back, read_in_a_unit_of_work])
def test_loop_prepares_statement_at_once_and_keeps_it_after_rollback(
    engine: Engine, end: Callable[[Engine], None]
) -> None:
    end(engine)
    assert prepared(engine) == 1


def test_an_error_lets_statements_be_prepared_again(engine: Engine) -> None:
    rolled_back(engine)
    with engine.connect() as connection, pytest.raises(DBAPIError):
        look(connection)
        fetch(connection, FAIL, {})
    assert prepared(engine) == 0, "a statement that does not fit a changed table would fail for ever"
    rolled_back(engine)
    assert prepared(engine) == 1


@pytest.mark.parametrize("planner", [None, BY_INDEX])
def test_a_statement_that_could_not_be_prepared_is_prepared_later(
    database: Database, planner: Mapping[str, str] | None
) -> None:
    engine = open_engine(database.exit_url, "exit_qualification", application="test", pool_size=1, planner=planner)
    admin = open_engine(database.migrator_url, "exit_qualification", application="test")
    try:
        for uses in range(REPEATED):
            with each_alone(engine) as connection:
                for _ in range(uses):
                    look(connection)
                with renamed(admin), pytest.raises(DBAPIError):
                    look(connection)
                look(connection)
            engine.dispose()  # the next connection has prepared nothing
    finally:
        engine.dispose()
        admin.dispose()


@contextmanager
def renamed(admin: Engine) -> Iterator[None]:
    """While inside, the table has another name."""
    with admin.begin() as connection:
        connection.execute(text("ALTER TABLE tick_symbols RENAME TO hidden_symbols"))
    try:
        yield
    finally:
        with admin.begin() as connection:
            connection.execute(text("ALTER TABLE hidden_symbols RENAME TO tick_symbols"))


def test_other_connections_prepare_what_they_repeat_and_keep_it(database: Database) -> None:
    engine = open_engine(database.exit_url, "exit_qualification", application="test", pool_size=1)
    try:
        for _ in range(REPEATED):
            rolled_back(engine)
        assert prepared(engine) == 1
    finally:
        engine.dispose()
