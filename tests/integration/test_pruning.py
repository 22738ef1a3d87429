"""Rows kept against repetition are removed by age, in bounded batches, past rows held by others."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, text

from shared.postgres import pruning
from shared.postgres.engine import open_engine
from shared.postgres.pruning import Pruned, prune
from tests.support.row_locks import held_row
from tests.support.servers import Database

FILL = {
    Pruned.INBOX: "INSERT INTO inbox (consumer, event_id, at) "
    "SELECT 'test', gen_random_uuid(), clock_timestamp() - make_interval(days => :age) FROM generate_series(1, :n)",
    Pruned.IDEMPOTENCY_KEYS: "INSERT INTO idempotency_keys (scope, key, request_hash, created_at) "
    "SELECT 'test' || CAST(:age AS text), n, decode('', 'hex'), clock_timestamp() - make_interval(days => :age) "
    "FROM generate_series(1, :n) AS n",
}


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        (Pruned.INBOX, "trade_management"),
        (Pruned.IDEMPOTENCY_KEYS, "trade_management"),
        (Pruned.IDEMPOTENCY_KEYS, "exit_qualification"),
    ],
)
def test_old_rows_go_young_stay_and_held_wait(
    table: Pruned, schema: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "ROWS_PER_BATCH", 10)
    url = database.exit_url if schema == "exit_qualification" else database.trade_url
    engine = open_engine(url, schema, application="test")
    with engine.begin() as connection:
        connection.execute(text(FILL[table]), {"age": 31, "n": 35})
        connection.execute(text(FILL[table]), {"age": 29, "n": 5})
    age = "at" if table is Pruned.INBOX else "created_at"
    with held_row(
        database.admin_url, schema, f"SELECT 1 FROM {table} WHERE {age} < now() - interval '30 days' LIMIT 1"
    ):
        assert prune(engine, table, 30, threading.Event()) == 34
    assert prune(engine, table, 30, threading.Event()) == 1
    assert _count(engine, table) == 5
    engine.dispose()


def _count(engine: Engine, table: Pruned) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # an enum
