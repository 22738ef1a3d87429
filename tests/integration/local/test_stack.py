"""The local stack as a whole, with its servers and without its services."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.local.kafka.broker import Broker
from deploy.local.kafka.selection import KafkaChoice
from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.processes.registry import SUPERVISOR
from deploy.local.stack import stack
from deploy.local.stack.stack import StackOptions
from shared.errors import NotFound
from shared.ids import new_id
from shared.postgres.roles import with_role
from tests.support.servers import delete_topics, running_postgres, server_directory
from tests.support.waiting import LIMIT_S, wait_until

PROMISED = {
    "exit_api",
    "trade_api",
    "paper_broker",
    "console",
    "kafka_bootstrap_servers",
    "exit_database_url",
    "trade_database_url",
    "admin_database_url",
    "token",
    "processes",
    "metrics",
}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def shared_stack() -> Iterator[StackOptions]:
    """A stack on Tansu, the fastest to start."""
    with server_directory("stack") as directory:
        yield StackOptions(directory, KafkaChoice.TANSU, restrict_to=())
        assert stack.down(directory, lambda line: None) == 0


@pytest.fixture
def running(shared_stack: StackOptions, said: list[str]) -> StackOptions:
    """The common stack of this module's tests; it is started unless it runs already."""
    if not stack.status(shared_stack.data_dir).running:
        assert stack.up_detached(shared_stack, said.append) == 0, said
    return shared_stack


def _run(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def test_stack_json_locates_everything_and_only_owner_reads_it(running: StackOptions) -> None:
    told = stack.read_stack(running.data_dir)
    assert set(told) >= PROMISED
    assert set(told["processes"]) == {"postgres", "kafka", SUPERVISOR}
    assert stat.S_IMODE((running.data_dir / "stack.json").stat().st_mode) == 0o600
    assert _run(told["exit_database_url"], "SELECT current_user") == ("exitflow_exit",)
    assert _run(told["trade_database_url"], "SELECT current_user") == ("exitflow_trade",)
    assert _run(told["admin_database_url"], "SELECT mode FROM exit_qualification.rollout") == ("full",)


def test_second_up_on_running_stack_fails_with_message(running: StackOptions) -> None:
    said: list[str] = []
    assert stack.up(running, said.append) == 1
    assert stack.up_detached(running, said.append) == 1
    assert len(said) == 2
    assert all("already runs" in line for line in said)


def test_a_killed_server_is_started_again_and_stack_json_follows(running: StackOptions) -> None:
    before = stack.read_stack(running.data_dir)["processes"]["postgres"]
    restarts = _restarts(running)
    os.kill(before, signal.SIGKILL)

    def another() -> bool:
        return bool(stack.read_stack(running.data_dir)["processes"].get("postgres", before) != before)

    wait_until(another, "another PostgreSQL")
    wait_until(lambda: stack.status(running.data_dir).ready, "readiness")
    assert _restarts(running) == {**restarts, "postgres": restarts["postgres"] + 1}


def _restarts(running: StackOptions) -> dict[str, int]:
    return {process.name: process.restarts for process in stack.status(running.data_dir).processes}


def test_supervisor_kill_ends_everything_and_next_up_works(running: StackOptions, said: list[str]) -> None:
    processes = stack.read_stack(running.data_dir)["processes"]
    others = [psutil.Process(pid) for name, pid in processes.items() if name != SUPERVISOR]
    os.kill(processes[SUPERVISOR], signal.SIGKILL)
    _, alive = psutil.wait_procs(others, timeout=LIMIT_S)
    assert alive == []
    assert stack.up_detached(running, said.append) == 0, said


def test_stack_without_log_starts_fresh_database_and_reports_it(running: StackOptions, said: list[str]) -> None:
    _run(stack.read_stack(running.data_dir)["admin_database_url"], "CREATE TABLE marker ()")
    stack.down(running.data_dir, said.append)
    assert stack.up_detached(running, said.append) == 0, said
    assert any("fresh database" in line for line in said)
    url = stack.read_stack(running.data_dir)["admin_database_url"]
    assert _run(url, "SELECT to_regclass('marker')") == (None,)


@pytest.mark.apache
def test_apache_kafka_stack_resumes_with_data_ports_and_secrets(directory: Path, said: list[str]) -> None:
    options = StackOptions(directory, KafkaChoice.APACHE, restrict_to=())
    assert stack.up_detached(options, said.append) == 0, said
    first = stack.read_stack(directory)
    _run(first["admin_database_url"], "CREATE TABLE marker ()")
    assert stack.down(directory, said.append) == 0
    assert stack.up_detached(options, said.append) == 0, said
    second = stack.read_stack(directory)
    assert stack.down(directory, said.append) == 0
    assert {**first, "processes": None} == {**second, "processes": None}
    assert "topics: 0 made" in " ".join(said)


@pytest.mark.apache
def test_tansu_does_not_discard_apache_kafka_data(directory: Path, said: list[str]) -> None:
    (directory / "kafka.kind").write_text("apache")
    assert stack.up(StackOptions(directory, KafkaChoice.TANSU, restrict_to=()), said.append) == 1
    assert "belongs to Kafka 'apache'" in said[-1]


def test_nothing_runs_or_is_reported_without_started_stack(directory: Path) -> None:
    with pytest.raises(NotFound, match="exitflow up"):
        stack.read_stack(directory)
    assert not stack.status(directory).running
    assert stack.down(directory, lambda line: None) == 0


def test_a_signal_while_it_starts_ends_what_has_started(directory: Path) -> None:
    said: list[str] = []

    def interrupt(line: str) -> None:
        said.append(line)
        if "postgres is ready" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    assert stack.up(StackOptions(directory, KafkaChoice.TANSU, restrict_to=()), interrupt) == 0
    assert not any("everything is ready" in line for line in said)
    assert not stack.status(directory).running
    assert not (directory / "postgres" / "cluster" / "postmaster.pid").exists()


def test_external_servers_are_prepared_and_used(
    directory: Path, kafka: Broker, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = StackOptions(directory, KafkaChoice.EXTERNAL, restrict_to=())
    prefix = f"t{new_id().hex}."
    with running_postgres() as server:
        for name, value in _external(server, kafka, prefix).items():
            monkeypatch.setenv(name, value)
        assert stack.up_detached(options, said.append) == 0, said
        told = stack.read_stack(directory)
        assert set(told["processes"]) == {SUPERVISOR}
        assert _run(told["exit_database_url"], "SELECT current_user") == ("exitflow_exit",)
        assert _run(told["admin_database_url"], "SELECT mode FROM exit_qualification.rollout") == ("full",)
        assert stack.down(directory, said.append) == 0
    delete_topics(kafka.bootstrap_servers, prefix)


def _external(server: EmbeddedPostgres, kafka: Broker, prefix: str) -> dict[str, str]:
    return {
        "EXITFLOW_ADMIN_DATABASE_URL": server.admin_url,
        "EXITFLOW_EXIT_DATABASE_URL": with_role(server.admin_url, "exitflow_exit", "one"),
        "EXITFLOW_TRADE_DATABASE_URL": with_role(server.admin_url, "exitflow_trade", "two"),
        "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXITFLOW_KAFKA_TOPIC_PREFIX": prefix,
    }


def test_a_process_that_does_not_exist_cannot_be_asked_for(directory: Path, said: list[str]) -> None:
    assert stack.up(StackOptions(directory, KafkaChoice.TANSU, restrict_to=("exit-tics",)), said.append) == 1
    assert "no such processes: exit-tics" in said[-1]
