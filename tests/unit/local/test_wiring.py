"""Each process is told its settings, and no other's secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from deploy.local.postgres.databases import embedded_databases
from deploy.local.processes.ports import PortBook
from deploy.local.processes.service_environment import Wiring, chosen
from deploy.local.secrets.credentials import Credentials
from deploy.local.state.data_directory import DataDirectory
from shared.errors import ConfigurationError
from shared.runtime.catalogue import PROCESSES
from tests.unit.cli.test_secret_files import DATABASE_OF, SIGNATURES_OF

EXIT_URL, TRADE_URL = "EXITFLOW_EXIT_DATABASE_URL", "EXITFLOW_TRADE_DATABASE_URL"
ROLE_OF = {
    "exit-ticks": {EXIT_URL: "exitflow_exit"},
    "exit-orders": {EXIT_URL: "exitflow_exit"},
    "exit-api": {EXIT_URL: "exitflow_exit"},
    "trade-fills": {TRADE_URL: "exitflow_trade"},
    "trade-api": {TRADE_URL: "exitflow_trade"},
    "relay": {EXIT_URL: "exitflow_relay", TRADE_URL: "exitflow_relay"},
    "paper-broker": {},
    "console": {},
}


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    directory = DataDirectory(tmp_path)
    credentials = Credentials.of(directory.secrets_file)
    return Wiring(
        directory=directory,
        ports=PortBook(directory.ports_file),
        credentials=credentials,
        databases=embedded_databases("postgresql://postgres:pw@127.0.0.1:1/postgres", credentials),
        bootstrap_servers="127.0.0.1:9092",
    )


@pytest.mark.parametrize("service", PROCESSES)
def test_a_service_reaches_its_databases_with_its_own_role(wiring: Wiring, service: str) -> None:
    environment = wiring.environment(service)
    urls = {name: value for name, value in environment.items() if name.endswith("DATABASE_URL")}
    assert {name: url.split("//")[1].split(":")[0] for name, url in urls.items()} == ROLE_OF[service]


@pytest.mark.parametrize("service", ROLE_OF)
def test_a_service_reaches_its_databases_by_a_socket(wiring: Wiring, service: str) -> None:
    by_socket = replace(wiring, databases=replace(wiring.databases, socket=Path("/run/some where")))
    environment = by_socket.environment(service)
    for name, role in ROLE_OF[service].items():
        parts = conninfo_to_dict(environment[name])
        assert parts["host"] == "/run/some where"
        assert (parts["user"], parts["dbname"], parts["port"]) == (role, "exitflow", "1")
        assert parts["password"] == conninfo_to_dict(wiring.environment(service)[name])["password"]


@pytest.mark.parametrize("service", PROCESSES)
def test_a_service_is_told_exactly_its_secrets(wiring: Wiring, service: str) -> None:
    told = wiring.environment(service)
    own = {
        name for name in told if name.endswith(("_DATABASE_URL", "_CREDENTIALS", "_KEY", "_KEYS", "_TOKEN", "_SECRETS"))
    }
    assert own == {name.upper() for name in DATABASE_OF[service] | SIGNATURES_OF[service]}
    assert wiring.credentials.operator_token not in told.values()


@pytest.mark.parametrize("service", PROCESSES)
def test_no_service_is_given_what_the_caller_holds_for_others(
    wiring: Wiring, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITFLOW_ADMIN_DATABASE_URL", "secret")
    monkeypatch.setenv("EXITFLOW_MIGRATOR_ROLE_PASSWORD", "secret")
    monkeypatch.setenv("EXITFLOW_COOLDOWN_S", "5")
    environment = wiring.environment(service)
    assert "secret" not in environment.values()
    assert environment["EXITFLOW_COOLDOWN_S"] == "5"


def test_the_paper_broker_posts_order_updates_to_exit_api(wiring: Wiring) -> None:
    told = wiring.environment("paper-broker")
    assert told["EXITFLOW_PAPER_BROKER_POSTBACK_URL"] == f"{wiring.url('exit-api')}/postbacks/kite"


def test_ports_and_secrets_are_the_same_when_read_again(wiring: Wiring) -> None:
    ports = [wiring.ports.port(name) for name in PROCESSES]
    assert len(set(ports)) == len(PROCESSES)
    again = PortBook(wiring.directory.ports_file)
    assert [again.port(name) for name in PROCESSES] == ports
    assert Credentials.of(wiring.directory.secrets_file) == wiring.credentials


def test_only_services_that_exist_can_be_chosen() -> None:
    assert chosen(PROCESSES, None) == list(PROCESSES)
    assert chosen(PROCESSES, ("trade-api", "relay")) == ["trade-api", "relay"]
    with pytest.raises(ConfigurationError, match="no such processes: exit-tics"):
        chosen(PROCESSES, ("exit-tics",))


def test_secrets_are_not_shown(wiring: Wiring) -> None:
    assert wiring.credentials.operator_token not in repr(wiring)
    assert wiring.credentials.exit_password not in repr(wiring)
