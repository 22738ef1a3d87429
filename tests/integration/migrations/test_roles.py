"""Each role has the rights its service needs, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.servers import Database, Databases

EXIT, TRADE = "exit_qualification", "trade_management"

REFUSED = [
    ("exit_url", f"SELECT * FROM {TRADE}.trades"),
    ("exit_url", f"INSERT INTO {TRADE}.trades (trade_id) VALUES (gen_random_uuid())"),
    ("exit_url", f"UPDATE {TRADE}.trades SET status = 'CLOSED'"),
    ("exit_url", f"DELETE FROM {EXIT}.exit_intents"),
    ("exit_url", f"DELETE FROM {EXIT}.exit_signals"),
    ("exit_url", f"UPDATE {EXIT}.exit_signals SET episode_id = 9"),
    ("exit_url", f"UPDATE {EXIT}.exit_fills SET quantity = 9"),
    ("exit_url", f"UPDATE {EXIT}.audit_log SET actor = 'nobody'"),
    ("exit_url", f"DELETE FROM {EXIT}.audit_log"),
    ("exit_url", f"UPDATE {EXIT}.outbox_event SET payload = ''"),
    ("exit_url", f"DELETE FROM {EXIT}.outbox_event"),
    ("exit_url", f"UPDATE {EXIT}.outbox_shard SET pos = 0"),
    ("exit_url", f"INSERT INTO {EXIT}.api_tokens VALUES ('', 'x', '{{}}')"),
    ("exit_url", f"UPDATE {EXIT}.exit_intent_transitions SET to_status = 'FILLED'"),
    ("exit_url", f"CREATE TABLE {EXIT}.mine (n int)"),
    ("exit_url", f"ALTER TABLE {EXIT}.exit_intents DISABLE TRIGGER exit_intents_guard"),
    ("exit_url", "CREATE TABLE public.mine (n int)"),
    ("trade_url", f"SELECT * FROM {EXIT}.exit_intents"),
    ("trade_url", f"UPDATE {EXIT}.rollout SET mode = 'full'"),
    ("trade_url", f"DELETE FROM {TRADE}.trades"),
    ("trade_url", f"UPDATE {TRADE}.trade_fills SET quantity = 9"),
    ("trade_url", f"UPDATE {TRADE}.trade_closures SET net_pnl = 9"),
    ("trade_url", f"UPDATE {TRADE}.charge_schedules SET rate = 0"),
    ("trade_url", f"UPDATE {TRADE}.outbox_event SET payload = ''"),
    ("trade_url", f"CREATE TABLE {TRADE}.mine (n int)"),
    ("relay_exit_url", f"UPDATE {EXIT}.outbox_event SET payload = ''"),
    ("relay_exit_url", f"INSERT INTO {EXIT}.outbox_event (event_id) VALUES (gen_random_uuid())"),
    ("relay_exit_url", f"DELETE FROM {EXIT}.outbox_event"),
    ("relay_exit_url", f"SELECT * FROM {EXIT}.exit_intents"),
    ("relay_exit_url", f"SELECT * FROM {EXIT}.api_tokens"),
    ("relay_trade_url", f"SELECT * FROM {TRADE}.trades"),
    ("relay_trade_url", f"UPDATE {TRADE}.outbox_sequence SET last = 0"),
    ("relay_trade_url", f"CREATE TABLE {TRADE}.mine (n int)"),
    ("relay_exit_url", f"TRUNCATE {EXIT}.outbox_event_default"),
    ("relay_exit_url", f"DROP TABLE {EXIT}.outbox_event_default"),
    ("relay_exit_url", f"DELETE FROM {EXIT}.outbox_archive"),
    ("relay_exit_url", f"UPDATE {EXIT}.outbox_origin SET system_identifier = 0"),
    ("exit_url", f"SELECT {EXIT}.outbox_make_partition(current_date)"),
    ("exit_url", f"SELECT {EXIT}.outbox_close_partition('outbox_event_default')"),
    ("exit_url", f"SELECT {EXIT}.outbox_drop_partition('outbox_event_default', 1)"),
    ("exit_url", f"SELECT {EXIT}.outbox_empty_default(1)"),
    ("exit_url", f"SELECT {EXIT}.outbox_partition_held_by('exit_intents')"),
    ("relay_exit_url", f"SELECT {EXIT}.outbox_partition_held_by('exit_intents')"),
    ("trade_url", f"SELECT {TRADE}.outbox_empty_default(1)"),
]


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[Database]:
    """One database for all tests: none reads another's rows."""
    with databases.fresh() as fresh:
        yield fresh


@pytest.mark.parametrize(("role", "statement"), REFUSED)
def test_a_role_is_refused_what_it_has_no_need_of(role: str, statement: str, database: Database) -> None:
    with psycopg.connect(getattr(database, role)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement)


def test_a_role_may_do_what_its_service_does(database: Database) -> None:
    with psycopg.connect(database.exit_url, options=f"-c search_path={EXIT}") as connection:
        row = connection.execute("SELECT generate_exit_episode(gen_random_uuid(), 'TARGET', '60 s')").fetchone()
        assert row == (1,)
        assert connection.execute("SELECT count(*) FROM exit_signal_status").fetchone() == (0,)
    with psycopg.connect(database.relay_trade_url, options=f"-c search_path={TRADE}") as connection:
        assert len(connection.execute("SELECT shard FROM outbox_shard FOR UPDATE").fetchall()) == 64
        assert connection.execute("SELECT count(*) FROM outbox_event").fetchone() == (0,)


def test_a_wrong_password_is_refused(database: Database) -> None:
    url = database.exit_url.replace("exitflow_exit:", "exitflow_exit:wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)
