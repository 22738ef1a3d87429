"""A watch asks its database in one statement, and tells an old or unreadable schema apart from a silent server."""

from __future__ import annotations

import psycopg
import pytest

from shared.postgres.health_check import CONDITION, DatabaseWatch
from shared.postgres.revisions import TRADE_MANAGEMENT
from shared.runtime.health import Health
from shared.settings import Settings
from tests.support.servers import Database
from tests.support.statements import sent_statements


def problem_of(url: str) -> str | None:
    """What a watch of trade management's schema reports after its first look."""
    health = Health()
    DatabaseWatch(url, TRADE_MANAGEMENT, health, Settings())._look()
    return health.problems().get(CONDITION)


def test_look_at_a_sound_database_is_one_statement(database: Database) -> None:
    health = Health()
    watch = DatabaseWatch(database.trade_url, TRADE_MANAGEMENT, health, Settings())
    watch._look()
    with sent_statements() as statements:
        watch._look()
    assert len(statements) == 1
    assert health.is_ready()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE trade_management.alembic_version SET version_num = 'V001'", "is at revision V001, this version needs"),
        ("DELETE FROM trade_management.alembic_version", "is at revision none, this version needs"),
        ("DROP TABLE trade_management.alembic_version", "is at revision none, this version needs"),
        ("REVOKE SELECT ON trade_management.alembic_version FROM exitflow_trade", "this role cannot read the revision"),
        ("UPDATE trade_management.outbox_origin SET held_because = 'restored'", "restored"),
        ("DROP TABLE trade_management.outbox_origin CASCADE", "does not answer (UndefinedTable)"),
    ],
)
def test_each_state_of_a_schema_has_its_own_words(database: Database, change: str, problem: str) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute(change.encode())
    assert problem in str(problem_of(database.trade_url))


def test_old_schema_without_an_outbox_tells_its_revision(database: Database) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("DROP TABLE trade_management.outbox_origin CASCADE")
        admin.execute("UPDATE trade_management.alembic_version SET version_num = 'V001'")
    assert "is at revision V001" in str(problem_of(database.trade_url))
