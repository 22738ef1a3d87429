"""`exitflow migrate` and `exitflow tokens` on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from shared.http.auth import FIND, token_hash
from shared.postgres.engine import open_engine
from shared.postgres.revisions import HISTORIES, head_revision
from shared.postgres.roles import EXIT, MIGRATOR, RELAY, ROLES, TRADE
from tests.support.servers import Database
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]


def password_of(url: str) -> str:
    """The password in a URL."""
    return str(make_url(url).password)


@pytest.fixture
def environment(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database, named by the settings as an operator would."""
    urls = {
        MIGRATOR: empty_database.migrator_url,
        EXIT: empty_database.exit_url,
        TRADE: empty_database.trade_url,
        RELAY: empty_database.relay_exit_url,
    }
    for role in ROLES:
        name = role.removeprefix("exitflow_").upper()
        monkeypatch.setenv(f"EXITFLOW_{name}_ROLE_PASSWORD", password_of(urls[role]))
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", empty_database.exit_url)
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", empty_database.trade_url)
    monkeypatch.setenv("EXITFLOW_ADMIN_DATABASE_URL", empty_database.admin_url)
    return empty_database


def test_roles_up_status_down_and_up_again(environment: Database, exitflow: Exitflow) -> None:
    assert exitflow("migrate", "roles").status == 0
    assert exitflow("migrate", "up").status == 0
    status = exitflow("migrate", "status", "--json")
    assert status.status == 0
    assert json.loads(status.out) == [
        {"history": name, "at": head_revision(name), "head": head_revision(name)} for name in HISTORIES
    ]
    assert exitflow("migrate", "down", "--history", "exit_qualification", "--to", "V001", "--yes").status == 0
    assert exitflow("migrate", "status").status == 1
    assert f"V001 → {head_revision('exit_qualification')}" in exitflow("migrate", "up").out


def test_an_unknown_revision_is_one_line(environment: Database, exitflow: Exitflow) -> None:
    ended = exitflow("migrate", "up", "--history", "exit_qualification", "--to", "V999")
    assert ended.status == 2
    assert "no such revision: V999" in ended.err


def test_token_is_printed_once_and_stored_only_hashed(environment: Database, exitflow: Exitflow) -> None:
    exitflow("migrate", "up")
    made = json.loads(exitflow("tokens", "create", "desk", "--scope", "read", "--scope", "trade", "--json").out)
    for history in HISTORIES:
        engine = open_engine(environment.admin_url, history, application="test")
        with engine.connect() as connection:
            found = connection.execute(FIND, {"token_hash": token_hash(made["token"])}).one()
            kept = connection.execute(text("SELECT * FROM api_tokens")).one()
        engine.dispose()
        assert (found.name, found.scopes) == ("desk", ["read", "trade"])
        assert made["token"] not in str(tuple(kept))
