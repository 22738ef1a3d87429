"""Both histories go up, down and up again, and V010 only expands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from shared.errors import ConfigurationError
from shared.postgres.migrations import current_revision, migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES, head_revision
from tests.support.servers import Database

CATALOGUE = text("""
SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), array_to_string(c.relacl, ',')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE n.nspname = :schema AND c.relname NOT LIKE 'alembic_version%'
UNION ALL
SELECT conname, 'constraint', pg_get_constraintdef(k.oid), NULL, NULL, NULL, NULL
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE n.nspname = :schema AND conname NOT LIKE 'alembic_version%'
UNION ALL
SELECT proname, 'function', pg_get_functiondef(p.oid), NULL, NULL, NULL, array_to_string(p.proacl, ',')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = :schema
UNION ALL
SELECT indexname, 'index', indexdef, NULL, NULL, NULL, NULL FROM pg_indexes
 WHERE schemaname = :schema AND indexname NOT LIKE 'alembic_version%'
""")


WITHOUT_SEARCH_PATH = text("""
SELECT p.proname FROM pg_proc p
 WHERE p.pronamespace = to_regnamespace(:schema) AND p.prosqlbody IS NULL
   AND NOT coalesce(p.proconfig::text LIKE '%search_path=' || :schema || ', pg_temp%', false)
""")
NAMES_NO_TABLE = {"market_phase"}
"""A view's function, put in place by the planner: it could not be with a search_path of its own."""


@pytest.fixture
def admin(empty_database: Database) -> Iterator[Engine]:
    """An administrator's connections to a database without migrations."""
    engine = create_engine(make_url(empty_database.admin_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


def _shape(admin: Engine, schema: str) -> set[tuple[object, ...]]:
    with admin.connect() as connection:
        return {tuple(row) for row in connection.execute(CATALOGUE, {"schema": schema})}


@pytest.mark.parametrize("history", HISTORIES)
def test_history_up_down_up_gives_same_schema(history: str, empty_database: Database, admin: Engine) -> None:
    url = empty_database.migrator_url
    head = head_revision(history)
    assert migrate(url, history) == (None, head)
    first = _shape(admin, history)
    assert len(first) > 100
    assert migrate(url, history, "base") == (head, None)
    assert _shape(admin, history) == set()
    assert migrate(url, history) == (None, head)
    assert _shape(admin, history) == first
    assert current_revision(url, history) == head


@pytest.mark.parametrize("history", HISTORIES)
def test_functions_know_their_schema(history: str, empty_database: Database, admin: Engine) -> None:
    """An administrator or a restore has another search_path."""
    migrate(empty_database.migrator_url, history)
    with admin.connect() as connection:
        found = set(connection.execute(WITHOUT_SEARCH_PATH, {"schema": history}).scalars())
    assert found <= NAMES_NO_TABLE


def test_every_step_of_exit_qualification_can_be_taken_back(empty_database: Database, admin: Engine) -> None:
    url = empty_database.migrator_url
    shapes = {}
    for revision in ("V001", "V010", "V011", "V012", "V013", "V014"):
        migrate(url, EXIT_QUALIFICATION, revision)
        shapes[revision] = _shape(admin, EXIT_QUALIFICATION)
    for revision in ("V013", "V012", "V011", "V010", "V001"):
        migrate(url, EXIT_QUALIFICATION, revision)
        assert _shape(admin, EXIT_QUALIFICATION) == shapes[revision]


def test_v010_only_expands(empty_database: Database, admin: Engine) -> None:
    migrate(empty_database.migrator_url, EXIT_QUALIFICATION, "V001")
    before = _shape(admin, EXIT_QUALIFICATION)
    migrate(empty_database.migrator_url, EXIT_QUALIFICATION, "V010")
    assert before < _shape(admin, EXIT_QUALIFICATION)


def test_code_of_before_v010_still_writes_episodes_after_it(empty_database: Database, admin: Engine) -> None:
    migrate(empty_database.migrator_url, EXIT_QUALIFICATION, "V010")
    with admin.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO exit_qualification.exit_episodes (trade_id, exit_reason, last_episode_id)"
                " VALUES (gen_random_uuid(), 'TARGET', 1)"
            )
        )


@pytest.mark.parametrize("schema", HISTORIES)
def test_every_table_has_a_comment(schema: str, empty_database: Database, admin: Engine) -> None:
    migrate(empty_database.migrator_url, schema)
    with admin.connect() as connection:
        bare = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace)"
                " AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND relname <> 'alembic_version'"
                " AND obj_description(oid) IS NULL"
            ),
            {"schema": schema},
        ).scalars()
        assert list(bare) == []


def test_missing_revision_error_lists_existing_revisions(empty_database: Database) -> None:
    with pytest.raises(ConfigurationError, match="V999; there are V001, V010, V011, V012, V013, V014"):
        migrate(empty_database.migrator_url, EXIT_QUALIFICATION, "V999")
