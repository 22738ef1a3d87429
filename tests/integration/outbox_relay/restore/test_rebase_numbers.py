"""Dumped numbers may be those of the very transactions of a restore or a rebase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from services.outbox_relay.database.connection import Connection
from services.outbox_relay.restore.rebase import Permissions, rebase
from tests.support.servers import Database

SCHEMA = "trade_management"
AROUND = 60

RESTORE = """
INSERT INTO outbox_event (xid, event_id, shard, topic, key, sequence, ce_type, ce_source, ce_subject, ce_time,
                          traceparent, payload)
SELECT number::text::xid8, gen_random_uuid(), 3, 't', 'k', number - %(first)s + 1,
       'Filled', '/tests', 's', '2026-01-13T00:00:00Z', '00-a-b-01', 'x'
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
"""
UNPUBLISHED = """
SELECT coalesce(array_agg(sequence ORDER BY id), '{}') FROM outbox_event JOIN outbox_shard s USING (shard)
 WHERE NOT pg_visible_in_snapshot(xid, s.snap)
"""


@pytest.fixture
def admin(database: Database) -> Iterator[Connection]:
    """A connection with the right to number events and shards."""
    with closing(psycopg.connect(database.admin_url, autocommit=True, options=f"-c search_path={SCHEMA}")) as opened:
        yield opened


def restore_around_own_number(admin: Connection, published_below: int) -> int:
    """Insert rows numbered around the inserting transaction's own number; returns the number."""
    with admin.transaction():
        (own,) = admin.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
        admin.execute(RESTORE, {"first": own - AROUND, "last": own + AROUND})
        limit = own + published_below
        admin.execute("UPDATE outbox_shard SET snap = %s::pg_snapshot", (f"{limit}:{limit}:",))
        admin.execute("UPDATE outbox_origin SET system_identifier = 1")
    return int(own)


def rebased(database: Database) -> tuple[int, int]:
    """Rebase as the migrator does; how many events were unpublished and how many new."""
    options = f"-c search_path={SCHEMA}"
    with closing(psycopg.connect(database.migrator_url, autocommit=True, options=options)) as connection:
        state = rebase(connection, (), Permissions(), has_signals=False)
    return state.unpublished, state.new


def test_published_event_with_rebase_number_stays_published(database: Database, admin: Connection) -> None:
    restore_around_own_number(admin, published_below=AROUND + 1)
    assert rebased(database) == (0, 0)
    assert admin.execute(UNPUBLISHED).fetchone() == ([],)


def test_restored_event_with_restore_number_counts_as_restored(database: Database, admin: Connection) -> None:
    restore_around_own_number(admin, published_below=AROUND)
    assert rebased(database) == (1, 0)
    assert admin.execute(UNPUBLISHED).fetchone() == ([2 * AROUND + 1],)
