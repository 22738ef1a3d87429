"""`exitflow provision` and a token of the caller's choice, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from shared.http.auth import FIND, token_hash
from shared.postgres.engine import open_engine
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES, head_revision
from shared.postgres.roles import MIGRATOR
from tests.support.servers import Database
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]
PROVISION = ("provision", "--paper-broker", "http://paper-broker:8003")
TOKEN = "t" * 43


@pytest.fixture
def migrator(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database, named by the settings as the migrator reaches it."""
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", empty_database.migrator_url)
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", empty_database.migrator_url)
    monkeypatch.setenv("EXITFLOW_PUBLIC_TOKEN", TOKEN)
    assert make_url(empty_database.migrator_url).username == MIGRATOR
    return empty_database


def one(database: Database, sql: Any, **values: Any) -> Any:
    engine = open_engine(database.migrator_url, EXIT_QUALIFICATION, application="test")
    try:
        with engine.begin() as connection:
            return connection.execute(sql, values).one()
    finally:
        engine.dispose()


def test_an_empty_database_can_be_used_afterwards(migrator: Database, exitflow: Exitflow) -> None:
    result = exitflow(*PROVISION)
    assert result.status == 0, result
    assert all(f"schema {history} at {head_revision(history)}" in result.out + result.err for history in HISTORIES)
    assert one(migrator, text("SELECT mode FROM rollout")).mode == "full"
    broker = one(migrator, text("SELECT root_url, status FROM user_brokers WHERE user_broker_id = 'paper'"))
    assert tuple(broker) == ("http://paper-broker:8003", "CONNECTED")
    assert sorted(one(migrator, FIND, token_hash=token_hash(TOKEN)).scopes) == ["operate", "read", "trade"]


def test_repeating_it_leaves_what_an_operator_decided(migrator: Database, exitflow: Exitflow) -> None:
    assert exitflow(*PROVISION).status == 0
    one(migrator, text("UPDATE rollout SET mode = 'dark', updated_by = 'operator' RETURNING mode"))
    one(migrator, text("UPDATE user_brokers SET status = 'DISCONNECTED' RETURNING status"))
    assert exitflow(*PROVISION).status == 0
    assert one(migrator, text("SELECT mode FROM rollout")).mode == "dark"
    assert one(migrator, text("SELECT status FROM user_brokers")).status == "DISCONNECTED"


def test_without_a_token_it_is_one_line(
    migrator: Database, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EXITFLOW_PUBLIC_TOKEN")
    result = exitflow(*PROVISION)
    assert result.status == 2
    assert "EXITFLOW_PUBLIC_TOKEN is not set" in result.out + result.err


def test_a_token_can_be_brought_along_and_is_not_printed(
    migrator: Database, exitflow: Exitflow, tmp_path: Path
) -> None:
    assert exitflow(*PROVISION).status == 0
    brought = tmp_path / "token"
    brought.write_text("p" * 43 + "\n")
    result = exitflow("tokens", "create", "prometheus", "--scope", "read", "--from-file", str(brought))
    assert result.status == 0
    assert "p" * 43 not in result.out + result.err
    assert one(migrator, FIND, token_hash=token_hash("p" * 43)).scopes == ["read"]


def test_a_short_token_is_refused(migrator: Database, exitflow: Exitflow, tmp_path: Path) -> None:
    brought = tmp_path / "token"
    brought.write_text("guessable")
    result = exitflow("tokens", "create", "prometheus", "--scope", "read", "--from-file", str(brought))
    assert result.status == 2
    assert "shorter than 32" in result.out + result.err
