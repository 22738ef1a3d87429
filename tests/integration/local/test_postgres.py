"""The embedded PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.postgres.socket import by_socket, socket_directory
from deploy.local.postgres.unix_account import Account, make_passable, server_account
from deploy.local.processes.ports import free_port
from shared.errors import ConfigurationError
from shared.ids import new_secret
from tests.support.waiting import wait_until


@pytest.fixture
def server(directory: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory, free_port(str(directory)), new_secret())
    server.start()
    yield server
    server.stop()


def _ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_it_is_durable_and_checks_its_pages_unless_told_otherwise(server: EmbeddedPostgres) -> None:
    settings = {name: _ask(server.admin_url, f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
    assert settings == {"fsync": "on", "synchronous_commit": "on"}
    assert _ask(server.admin_url, "SHOW data_checksums") == "on"


def test_it_listens_on_the_loopback_interface_alone(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]


def test_its_socket_answers_its_own_user_with_the_password(server: EmbeddedPostgres) -> None:
    assert server.socket is not None
    assert server.socket.stat().st_mode & 0o777 == 0o700
    assert _ask(by_socket(server.admin_url, server.socket), "SELECT inet_server_addr() IS NULL") is True
    wrong = make_url(server.admin_url).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(by_socket(wrong, server.socket))


def test_sockets_have_short_paths_of_any_characters(directory: Path) -> None:
    assert socket_directory(directory / ("long" * 30), 5432) is None
    assert socket_directory(directory / "a,b", 5432) is None
    odd = directory / 'a "b" c'
    server = EmbeddedPostgres(odd, free_port(str(odd)), "secret", durable=False)
    try:
        server.start()
        assert server.socket is not None
        assert _ask(by_socket(server.admin_url, server.socket), "SELECT 1") == 1
    finally:
        server.stop()


def test_it_refuses_a_wrong_password(server: EmbeddedPostgres) -> None:
    wrong = make_url(server.admin_url).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_what_was_committed_is_there_after_kill_9(server: EmbeddedPostgres) -> None:
    _run(server.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.start()
    assert _ask(server.admin_url, "SELECT answer FROM kept") == 42


def test_it_ends_with_a_back_end_that_is_killed(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        wait_until(lambda: server.exit_status is not None, "it ends")
    server.start()
    assert _ask(server.admin_url, "SELECT answer FROM kept") == 42


def test_lock_file_with_reused_process_id_does_not_block_start(server: EmbeddedPostgres, directory: Path) -> None:
    server.stop()
    stale = directory / "cluster" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{directory}/cluster\n")
    server.start()
    assert _ask(server.admin_url, "SELECT 1") == 1


def test_a_server_that_another_one_left_running_is_ended_first(server: EmbeddedPostgres, directory: Path) -> None:
    first = server.pid
    password = make_url(server.admin_url).password
    second = EmbeddedPostgres(directory, free_port(str(directory)), str(password))
    second.start()
    assert server.exit_status == 0
    assert second.pid not in (None, first)
    second.stop()


def test_changed_superuser_password_is_reported(server: EmbeddedPostgres, directory: Path) -> None:
    server.stop()
    other = EmbeddedPostgres(directory, free_port(str(directory)), new_secret())
    with pytest.raises(ConfigurationError, match="another superuser password"):
        other.start()
    other.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_root_runs_it_as_an_unprivileged_user(server: EmbeddedPostgres) -> None:
    account = server_account()
    assert account is not None
    assert psutil.Process(server.pid).uids().effective == account.uid != 0


def test_a_closed_parent_directory_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot pass through"):
        make_passable(closed / "data", Account("stranger", 12345, 12345))
