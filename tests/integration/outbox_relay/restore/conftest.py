"""A second server for restores, with transaction numbers below those of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from services.outbox_relay.restore.rebase import Permissions, State, rebase
from shared.contracts.topics import TopicNames
from shared.postgres.roles import EXIT, RELAY
from shared.settings import Settings
from tests.integration.outbox_relay.outbox_writer import open_writer
from tests.integration.outbox_relay.restore.dumps import dump_and_restore, next_xid, raise_next_xid
from tests.integration.outbox_relay.restore.history import SCHEMA, History, opened
from tests.support.servers import Database, Databases, running_postgres

MARGIN = 2000

Restored = tuple[Database, History]


@pytest.fixture(scope="package")
def lower(databases: Databases) -> Iterator[Databases]:
    """Databases on a server of their own; the first server's numbers lie beyond those it gives."""
    with running_postgres() as server, closing(Databases(server)) as others:
        with others.empty() as here, databases.empty() as there:
            raise_next_xid(there, next_xid(here) + MARGIN)
        yield others


@pytest.fixture
def restore(
    databases: Databases, lower: Databases, settings: Settings, topics: TopicNames, tmp_path: Path
) -> Iterator[Callable[[bool], Restored]]:
    """Makes a history on one server and restores its dump on the other, on the one with lower numbers if told so."""
    with ExitStack() as stack:

        def restored(to_lower: bool) -> Restored:
            source_server, target_server = (databases, lower) if to_lower else (lower, databases)
            source, target = stack.enter_context(source_server.fresh()), stack.enter_context(target_server.empty())
            made = stack.enter_context(opened(source, stack.enter_context(_writer(source, settings, topics))))
            made.make()
            dump_and_restore(source, target, tmp_path)
            assert (next_xid(target) < next_xid(source)) == to_lower
            there = stack.enter_context(_writer(target, settings, topics))
            return target, stack.enter_context(opened(target, there, like=made))

        yield restored


def _writer(database: Database, settings: Settings, topics: TopicNames) -> Any:
    return open_writer(settings.model_copy(update={"exit_database_url": SecretStr(database.exit_url)}), topics)


def relay_of(database: Database, exit_relay: Settings) -> Settings:
    """Settings of a relay of the database's exit outbox."""
    return exit_relay.model_copy(update={"exit_database_url": SecretStr(database.relay_exit_url)})


def rebased(database: Database, permissions: Permissions | None = None) -> State:
    """Rebase the exit outbox of a database as the migrator does; the tests' own connections do not count."""
    with closing(psycopg.connect(database.migrator_url, options=f"-c search_path={SCHEMA}")) as connection:
        connection.autocommit = True
        return rebase(connection, (EXIT, RELAY), permissions or Permissions(force=True), has_signals=True)
