"""Secrets for containers: made once, each service its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.compose.secret_files import ContainerCredentials, lay_out, secret_files
from deploy.local.postgres.databases import embedded_databases
from shared.errors import ConfigurationError
from shared.kafka.rights import RIGHTS
from shared.outbox.signatures import TrustedKeys, signer_of
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


KAFKA_LOGIN = {"exitflow_kafka_username", "exitflow_kafka_password", "exitflow_kafka_ca"}
ON_KAFKA = ("exit-ticks", "trade-fills", "relay", "paper-broker")
DATABASE_OF = {
    "exit-ticks": {"exitflow_exit_database_url"},
    "exit-orders": {"exitflow_exit_database_url", "exitflow_broker_credentials"},
    "exit-api": {"exitflow_exit_database_url"},
    "trade-fills": {"exitflow_trade_database_url", "exitflow_execution_token"},
    "trade-api": {"exitflow_trade_database_url", "exitflow_last_prices_token"},
    "relay": {"exitflow_exit_database_url", "exitflow_trade_database_url"},
    "paper-broker": {"exitflow_broker_credentials"},
    "console": {"exitflow_console_session_key"},
}
SIGNATURES_OF = {
    "exit-ticks": {"exitflow_event_signing_key", "exitflow_trade_event_keys"},
    "exit-orders": {"exitflow_event_signing_key"},
    "exit-api": {"exitflow_event_signing_key", "exitflow_postback_secrets"},
    "trade-fills": {"exitflow_event_signing_key", "exitflow_exit_event_keys"},
    "trade-api": {"exitflow_event_signing_key"},
    "relay": {"exitflow_exit_event_keys", "exitflow_trade_event_keys"},
    "paper-broker": {"exitflow_trade_event_keys"},
    "console": set(),
}
OF_NO_PROCESS = {
    "roles": {
        "exitflow_admin_database_url",
        "exitflow_exit_database_url",
        "exitflow_trade_database_url",
        "exitflow_migrator_role_password",
        "exitflow_exit_role_password",
        "exitflow_trade_role_password",
        "exitflow_relay_role_password",
    },
    "schema": {
        "exitflow_exit_database_url",
        "exitflow_trade_database_url",
        "exitflow_public_token",
        "exitflow_last_prices_token",
        "exitflow_execution_token",
    },
    "topics": KAFKA_LOGIN | {"exitflow_kafka_users"},
    "check": {"exitflow_exit_database_url", "exitflow_trade_database_url", "exitflow_broker_credentials"} | KAFKA_LOGIN,
    "tools": {"exitflow_public_token"} | KAFKA_LOGIN,
    "kafka": {"keystore.pem", "truststore.pem", "jaas.conf"},
    "postgres": {"postgres_password"},
    "prometheus": {"metrics_token"},
    "grafana": {"admin_password"},
}


def test_each_holder_has_exactly_the_secrets_that_it_uses(credentials: ContainerCredentials) -> None:
    processes = {
        name: DATABASE_OF[name] | SIGNATURES_OF[name] | (KAFKA_LOGIN if name in ON_KAFKA else set())
        for name in DATABASE_OF
    }
    assert {name: set(own) for name, own in files_of(credentials).items()} == processes | OF_NO_PROCESS


def test_each_side_owns_signing_key_and_only_readers_can_verify(
    credentials: ContainerCredentials,
) -> None:
    files = files_of(credentials)
    keys = {
        name: own["exitflow_event_signing_key"] for name, own in files.items() if "exitflow_event_signing_key" in own
    }
    assert {name for name, key in keys.items() if key == credentials.exit_signing_key} == {
        "exit-ticks", "exit-orders", "exit-api",
    }  # fmt: skip
    assert {name for name, key in keys.items() if key == credentials.trade_signing_key} == {"trade-fills", "trade-api"}
    signer = signer_of(keys["exit-ticks"], "test")
    assert set(TrustedKeys.of(files["trade-fills"]["exitflow_exit_event_keys"], "test").keys) == {signer.key_id}


def test_each_process_is_kafka_user_with_own_password(credentials: ContainerCredentials) -> None:
    files = files_of(credentials)
    logins = {name: own for name, own in files.items() if "exitflow_kafka_username" in own}
    users = {name: own["exitflow_kafka_username"] for name, own in logins.items()}
    others = {"topics": "admin", "check": "operator", "tools": "market-data"}
    assert users == {**{name: name for name in ON_KAFKA}, **others}
    assert len({own["exitflow_kafka_password"] for own in logins.values()}) == len(logins)
    password = credentials.kafka_admin_password
    assert {name for name, own in files.items() if password in json.dumps(own)} == {"kafka", "topics"}


def test_new_user_gets_password_and_others_keep_theirs(credentials: ContainerCredentials) -> None:
    kept = {"relay": "as before"}
    again = ContainerCredentials.model_validate(credentials.model_dump() | {"kafka_passwords": kept})
    assert again.kafka_passwords["relay"] == "as before"
    assert set(again.kafka_passwords) == set(RIGHTS)


def test_owner_and_group_read_secret_files_that_stay_unchanged(
    tmp_path: Path, credentials: ContainerCredentials
) -> None:
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
