"""The committed SQL agrees with the migrations."""

from __future__ import annotations

import psycopg
import pytest

from services.contracts.schema_files import V010_FILE, current_file, current_sql, v010_sql
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES
from tests.integration.cli.schema_description import describe_schema
from tests.support.servers import Database, Databases


def test_the_committed_file_is_what_the_migration_says() -> None:
    assert V010_FILE.read_text() == v010_sql(), "run `make sql`"


@pytest.mark.parametrize("history", HISTORIES)
def test_the_committed_schema_is_what_a_migrated_database_has(database: Database, history: str) -> None:
    assert current_file(history).read_text() == current_sql(database.admin_url, history), "run `make sql`"


def run_script(url: str, script: str) -> None:
    """The part of psql: the lines with a backslash are its own."""
    statements = "\n".join(line for line in script.splitlines() if not line.startswith("\\"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)


def test_database_at_v001_gets_same_schema_as_migration(databases: Databases) -> None:
    with databases.empty() as by_script, databases.empty() as by_migration:
        migrate(by_script.migrator_url, EXIT_QUALIFICATION, "V001")
        run_script(by_script.migrator_url, V010_FILE.read_text())
        migrate(by_migration.migrator_url, EXIT_QUALIFICATION, "V010")
        expected = describe_schema(by_migration.admin_url, EXIT_QUALIFICATION)
        assert expected["transitions"]
        assert describe_schema(by_script.admin_url, EXIT_QUALIFICATION) == expected


def test_on_any_other_database_it_changes_nothing(database: Database) -> None:
    before = describe_schema(database.admin_url, EXIT_QUALIFICATION)
    with pytest.raises(psycopg.errors.DuplicateColumn):
        run_script(database.migrator_url, V010_FILE.read_text())
    assert describe_schema(database.admin_url, EXIT_QUALIFICATION) == before
