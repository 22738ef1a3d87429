"""The command line: help, statuses, one-line errors, where it connects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.runtime.catalogue import PROCESSES
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

STACK = {
    "exit_api": "http://127.0.0.1:1",
    "trade_api": "http://127.0.0.1:1",
    "kafka_bootstrap_servers": "127.0.0.1:1",
    "token": "t",
}


def test_run_help_lists_every_process(exitflow: Exitflow) -> None:
    shown = exitflow("run", "--help")
    assert shown.status == 0
    assert all(name in shown.out for name in PROCESSES)


def test_unknown_process_gives_status_2_and_nearest_name(exitflow: Exitflow) -> None:
    ended = exitflow("run", "exit-tricks")
    assert ended.status == 2
    assert "No such command 'exit-tricks'" in ended.err
    assert "exit-ticks" in ended.err


def test_missing_setting_gives_one_line_and_status_2(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXITFLOW_EXIT_DATABASE_URL", raising=False)
    ended = exitflow("migrate", "up", "--history", "exit_qualification")
    missing = "EXITFLOW_EXIT_DATABASE_URL is not set; set it to postgresql://USER:PASSWORD@HOST/DATABASE"
    assert (ended.status, ended.err) == (2, f"exitflow: {missing}\n")


def test_a_setting_that_does_not_exist_is_refused(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_TYPO", "1")
    ended = exitflow("topics", "create")
    assert (ended.status, ended.err) == (2, "exitflow: unknown settings: EXITFLOW_TYPO\n")


def test_a_directory_without_a_running_stack_is_named(exitflow: Exitflow, tmp_path: Path) -> None:
    ended = exitflow("trades", "list", "--data-dir", str(tmp_path))
    assert ended.status == 1
    assert f"no stack is running in {tmp_path}" in ended.err


def test_silent_api_gives_one_line_and_status_1(exitflow: Exitflow, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(STACK))
    ended = exitflow("exits", "pending", "--data-dir", str(tmp_path))
    assert ended.status == 1
    assert ended.err.startswith("exitflow: http://127.0.0.1:1 does not answer")


def test_settings_win_over_a_stack_that_nobody_named(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITFLOW_EXIT_API_URL", "http://127.0.0.1:2")
    assert "http://127.0.0.1:2 does not answer" in exitflow("exits", "pending").err


def test_setting_the_kill_switch_needs_a_reason(exitflow: Exitflow) -> None:
    ended = exitflow("exits", "kill-switch", "ALL")
    assert ended.status == 2
    assert "--reason" in ended.err


def test_down_asks_before_data_is_lost(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115  # closed with the process
    assert exitflow("migrate", "down", "--to", "base").status == 1


def test_unresponsive_database_gives_one_line_without_password(
    exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EXIT", "TRADE"):
        monkeypatch.setenv(f"EXITFLOW_{name}_DATABASE_URL", "postgresql://role:hidden@127.0.0.1:1/x")
    ended = exitflow("migrate", "status")
    assert ended.status == 1
    assert ended.err.startswith("exitflow: PostgreSQL does not answer: ")
    assert len(ended.err.splitlines()) == 1
    assert "hidden" not in ended.err
