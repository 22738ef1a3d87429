"""Commands on the databases choose the running local stack, unless the settings name others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.checker.checker import SystemUnderCheck
from services.checker.finding import Finding
from services.cli.commands import check
from services.cli.support import database_urls, running_stack
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]

COMMANDS = (
    "check",
    "tokens create desk --scope read",
    "ticks reset --yes --reason test",
    "ticks rehome --reason test",
    "migrate status",
    "outbox partitions",
    "outbox rebase",
)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the directory of the default stack, not running; no setting names another system."""
    for name in ("EXIT_DATABASE_URL", "TRADE_DATABASE_URL"):
        monkeypatch.delenv(f"EXITFLOW_{name}", raising=False)
    monkeypatch.setattr(running_stack, "default_data_dir", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS)
def test_command_without_stack_and_settings_says_what_to_do(exitflow: Exitflow, no_settings: Path, words: str) -> None:
    ended = exitflow(*words.split())
    assert ended.status == 1
    for text in (f"no stack is running in {no_settings}", "`exitflow up` starts one", "--data-dir", "_DATABASE_URL"):
        assert text in ended.err


def test_check_chooses_the_running_stack(
    exitflow: Exitflow, no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[SystemUnderCheck] = []
    stack = {f"{name}_database_url": f"postgresql://{name}:secret@db/x" for name in ("exit", "trade", "admin")}
    addresses = {"exit_api": "http://x", "trade_api": "http://t", "paper_broker": "http://p", "token": "t"}
    (no_settings / "stack.json").write_text(json.dumps(stack | addresses | {"kafka_bootstrap_servers": "k:1"}))

    def found(system: SystemUnderCheck, *_: object) -> list[Finding]:
        chosen.append(system)
        return []

    monkeypatch.setattr(check, "require_kafka", lambda settings: settings)
    monkeypatch.setattr(check, "check_once_settled", found)
    assert exitflow("check").status == 0
    (system,) = chosen
    assert (system.broker_url, system.settings.kafka_bootstrap_servers) == ("http://p", "k:1")
    assert system.exit_database_url == database_urls.administered_stack(stack)["exit_qualification"]


def test_the_settings_win_over_the_default_stack(
    exitflow: Exitflow, no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITFLOW_EXIT_DATABASE_URL", "postgresql://a:b@127.0.0.1:1/x")
    ended = exitflow("check")
    assert (ended.status, "EXITFLOW_TRADE_DATABASE_URL is not set; set it to" in ended.err) == (2, True)
