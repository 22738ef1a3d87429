"""`exitflow settings` shows values and their origin; `--help` lists panels; `--version` prints the version."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from services.cli.support.command_line import Panel
from shared.settings import PREFIX, Settings
from tests.unit.cli.results import Result

Exitflow = Callable[..., Result]


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def _shown(exitflow: Exitflow, *options: str) -> dict[str, dict[str, str]]:
    ended = exitflow("settings", "--json", *options)
    assert ended.status == 0
    return {row["name"]: row for row in json.loads(ended.out)}


@pytest.mark.usefixtures("_no_settings")
def test_every_setting_is_shown_with_its_default_and_meaning(exitflow: Exitflow) -> None:
    shown = _shown(exitflow)
    assert set(shown) == {PREFIX + name.upper() for name in Settings.model_fields}
    assert all(row["meaning"] for row in shown.values())
    assert {row["origin"] for row in shown.values()} == {"default"}
    assert all(row["value"] == row["default"] for row in shown.values())


@pytest.mark.usefixtures("_no_settings")
def test_a_value_names_its_origin(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "exitflow_log_level").write_text("DEBUG")
    (tmp_path / "exitflow_order_limit").write_text("4")
    monkeypatch.setenv("EXITFLOW_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("EXITFLOW_ORDER_LIMIT", "3")
    shown = _shown(exitflow, "--set-only")
    assert {name: (row["value"], row["origin"]) for name, row in shown.items()} == {
        "EXITFLOW_LOG_LEVEL": ("DEBUG", "file"),
        "EXITFLOW_ORDER_LIMIT": ("3", "environment"),
    }


@pytest.mark.usefixtures("_no_settings")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_secret_is_shown(exitflow: Exitflow, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    assert secrets
    for name in secrets:
        monkeypatch.setenv(PREFIX + name.upper(), "unmistakable")
    ended = exitflow("settings", *options)
    assert ended.status == 0
    assert "unmistakable" not in ended.out + ended.err
    assert ended.out.count("********") == len(secrets)


def test_help_lists_trading_before_plumbing(exitflow: Exitflow) -> None:
    shown = exitflow("--help").out
    places = [shown.index(f"─ {panel} ─") for panel in Panel]
    assert places == sorted(places)


def test_version_is_printed(exitflow: Exitflow) -> None:
    ended = exitflow("--version")
    assert (ended.status, ended.out) == (0, f"exitflow {version('exitflow')}\n")
