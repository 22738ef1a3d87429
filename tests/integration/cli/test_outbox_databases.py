"""`exitflow outbox partitions` and `rebase` on a real database, named by settings or of a local stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from deploy.local.state.data_directory import DataDirectory
from services.cli.support import running_stack
from tests.support.servers import Database
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

NUMBERED = """
SELECT table_schema, table_name, column_name FROM information_schema.columns
  JOIN information_schema.tables USING (table_schema, table_name)
 WHERE udt_name IN ('xid8', 'xid', 'pg_snapshot') AND table_type = 'BASE TABLE'
   AND table_schema IN ('exit_qualification', 'trade_management')
"""


@pytest.fixture
def environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database at head, named by the settings as an operator would."""
    monkeypatch.setenv("EXITFLOW_MIGRATOR_ROLE_PASSWORD", str(make_url(database.migrator_url).password))
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", database.exit_url)
    monkeypatch.setenv("EXITFLOW_TRADE_DATABASE_URL", database.trade_url)
    return database


def _came_from_elsewhere(database: Database) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("UPDATE exit_qualification.outbox_origin SET system_identifier = 1")


def test_an_outbox_of_this_server_needs_no_rebase(environment: Database, exitflow: Exitflow) -> None:
    ended = exitflow("outbox", "rebase", "--json")
    assert ended.status == 0, ended.err
    assert [(row["outbox"], row["done"]) for row in json.loads(ended.out)] == [
        ("exit", "not needed"),
        ("trade", "not needed"),
    ]


def test_an_outbox_from_elsewhere_is_rebased_once(environment: Database, exitflow: Exitflow) -> None:
    _came_from_elsewhere(environment)
    done = [
        json.loads(exitflow("outbox", "rebase", *more, "--json").out)[0]["done"] for more in (["--dry-run"], [], [])
    ]
    assert done == ["would be rebased", "rebased", "not needed"]


def test_rebase_with_connected_service_is_refused_in_one_line(environment: Database, exitflow: Exitflow) -> None:
    _came_from_elsewhere(environment)
    with psycopg.connect(environment.exit_url):
        ended = exitflow("outbox", "rebase")
    assert ended.status == 1
    assert "open connections: exitflow_exit (1). Stop the services" in ended.err


def test_rebase_by_service_or_on_older_schema_is_refused_briefly(
    environment: Database, exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exitflow("migrate", "down", "--to", "V003", "--history", "trade_management", "--yes").status == 0
    older = exitflow("outbox", "rebase")
    assert (older.status, older.err.strip()) == (
        2,
        "exitflow: trade_management is below its newest revision: exitflow migrate up",
    )
    monkeypatch.delenv("EXITFLOW_MIGRATOR_ROLE_PASSWORD")
    refused = exitflow("outbox", "rebase")
    assert refused.status == 2
    assert "needs the migrator's credentials" in refused.err


def test_the_partitions_are_listed_with_why_they_are_kept(environment: Database, exitflow: Exitflow) -> None:
    ended = exitflow("outbox", "partitions", "--json")
    assert ended.status == 0, ended.err
    assert [(row["outbox"], row["name"], row["kept_because"]) for row in json.loads(ended.out)] == [
        ("exit", "outbox_event_default", "takes rows without a partition"),
        ("trade", "outbox_event_default", "takes rows without a partition"),
    ]


def test_both_commands_find_local_stack_by_given_or_default_directory(
    database: Database, exitflow: Exitflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = {f"{name}_database_url": getattr(database, f"{name}_url") for name in ("exit", "trade", "admin")}
    DataDirectory(tmp_path).stack_file.write_text(json.dumps(stack))
    listed = exitflow("outbox", "partitions", "--data-dir", str(tmp_path), "--json")
    assert [row["outbox"] for row in json.loads(listed.out)] == ["exit", "trade"], listed.err
    _came_from_elsewhere(database)
    monkeypatch.setattr(running_stack, "default_data_dir", lambda: tmp_path)
    rebased = exitflow("outbox", "rebase", "--json")
    assert [row["done"] for row in json.loads(rebased.out)] == ["rebased", "not needed"], rebased.err


def test_a_rebase_knows_every_column_that_holds_transaction_numbers(environment: Database) -> None:
    with psycopg.connect(environment.admin_url) as admin:
        found = {tuple(row) for row in admin.execute(NUMBERED)}
    outbox = {
        (schema, *column)
        for schema in ("exit_qualification", "trade_management")
        for column in [
            ("outbox_event", "xid"),
            ("outbox_event_default", "xid"),
            ("outbox_archive", "xid"),
            ("outbox_shard", "snap"),
            ("outbox_shard", "next_snap"),
        ]
    }
    assert found == outbox | {("exit_qualification", "exit_signals", "xid")}
