"""Secrets for containers: made once, each service its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.databases import embedded_databases
from services.cli.secret_files import ContainerCredentials, lay_out, secret_files
from shared.errors import ConfigurationError
from tests.unit.cli.results import Result


@pytest.fixture
def credentials(tmp_path: Path) -> ContainerCredentials:
    return ContainerCredentials.of(tmp_path / "kept.json")


def files_of(credentials: ContainerCredentials) -> dict[str, dict[str, str]]:
    return secret_files(embedded_databases("postgresql://postgres:adminpw@postgres:5432/x", credentials), credentials)


def test_only_those_who_prepare_the_database_see_its_administrator(credentials: ContainerCredentials) -> None:
    holders = {name for name, own in files_of(credentials).items() if "adminpw" in json.dumps(own)}
    assert holders == {"roles"}


def test_only_those_who_migrate_or_check_hold_the_migrators_password(credentials: ContainerCredentials) -> None:
    password = credentials.migrator_password
    holders = {name for name, own in files_of(credentials).items() if password in json.dumps(own)}
    assert holders == {"roles", "schema", "check"}


def test_no_process_holds_a_token(credentials: ContainerCredentials) -> None:
    token = credentials.operator_token
    holders = {name for name, own in files_of(credentials).items() if token in json.dumps(own)}
    assert holders == {"schema", "tools"}


def test_files_are_for_owner_and_group_and_stay_as_they_are(tmp_path: Path, credentials: ContainerCredentials) -> None:
    files = files_of(credentials)
    for service in files:
        (tmp_path / service).mkdir()
    assert len(lay_out(files, tmp_path)) == sum(len(own) for own in files.values())
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*/*")} == {0o440}
    assert lay_out(files_of(ContainerCredentials.of(tmp_path / "kept.json")), tmp_path) == []


def test_a_directory_that_is_not_there_is_named(tmp_path: Path, credentials: ContainerCredentials) -> None:
    with pytest.raises(ConfigurationError, match="postgres_password"):
        lay_out({"postgres": {"postgres_password": "x"}}, tmp_path)


def test_secrets_that_cannot_be_kept_are_one_clear_line(exitflow: Callable[..., Result], tmp_path: Path) -> None:
    kept = tmp_path / "missing" / "secrets.json"
    ended = exitflow("secrets", "write", "--kept", str(kept), "--to", str(tmp_path))
    assert (ended.status, ended.err) == (2, f"exitflow: cannot keep secrets in {kept}: No such file or directory\n")
    (tmp_path / "secrets.json").write_text("[]")
    ended = exitflow("secrets", "write", "--kept", str(tmp_path / "secrets.json"), "--to", str(tmp_path))
    assert ended.status == 2
    assert "does not hold the secrets" in ended.err
