"""Every place with a list of processes has those of the catalogue, and no other."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from deploy.local.secrets.secret_settings import _SECRETS, _URLS
from shared.kafka.rights import RIGHTS
from shared.runtime.catalogue import CONSOLE, PROCESSES, Secret
from shared.runtime.process import ProcessSpec

REPOSITORY = Path(__file__).resolve().parents[4]
COMPOSE = (REPOSITORY / "docker-compose.yml").read_text()
PROMETHEUS = (REPOSITORY / "deploy/compose/prometheus/prometheus.yml").read_text()
NO_PROCESSES = {"market-data", "operator", "reader"}
"""Users of Kafka: people and other systems."""


@pytest.mark.parametrize("name", PROCESSES)
def test_its_module_has_a_process_with_this_entry(name: str) -> None:
    spec = importlib.import_module(PROCESSES[name].module).PROCESS
    assert isinstance(spec, ProcessSpec)
    assert spec.entry is PROCESSES[name]


def test_every_module_with_a_process_is_catalogued() -> None:
    files = (REPOSITORY / "services").rglob("*.py")
    modules = {
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
        for file in files
        if re.search(r"^PROCESS = ProcessSpec\(", file.read_text(), re.MULTILINE)
    }
    assert modules == {each.module for each in PROCESSES.values()}


def test_the_containers_are_the_catalogue() -> None:
    commands = re.findall(r"^    command: \[run, ([a-z-]+)\]$", COMPOSE, re.MULTILINE)
    assert sorted(commands) == sorted(PROCESSES)


@pytest.mark.parametrize("name", PROCESSES)
def test_its_container_listens_on_its_port(name: str) -> None:
    service = re.search(rf"^  {name}:\n(.*?)(?=^  \S)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert service
    assert re.findall(r'EXITFLOW_HTTP_PORT: "(\d+)"', service[1]) == [str(PROCESSES[name].container_port)]


@pytest.mark.parametrize("name", [name for name, process in PROCESSES.items() if process.api_port])
def test_the_edge_publishes_an_api(name: str) -> None:
    port = PROCESSES[name].api_port
    assert f'"{port}={name}:{port}"' in COMPOSE
    assert re.search(rf'"127\.0\.0\.1:\$\{{PUBLISHED_\w+:-{port}\}}:{port}"', COMPOSE)


def test_prometheus_scrapes_each_process_once() -> None:
    targets = re.findall(r"names: \[([a-z-]+)\], type: A, port: (\d+)", PROMETHEUS)
    assert sorted(targets) == sorted((name, str(process.container_port)) for name, process in PROCESSES.items())


def test_the_console_asks_every_other_process() -> None:
    asked = re.search(r"EXITFLOW_CONSOLE_PROCESSES: >-\n\s+(\S+)", COMPOSE)
    assert asked
    others = [process for process in PROCESSES.values() if process is not CONSOLE]
    assert asked[1].split(",") == [f"{each.name}=http://{each.name}:{each.container_port}" for each in others]


def test_every_kafka_user_is_process_or_named_exception() -> None:
    assert set(RIGHTS) - set(PROCESSES) == NO_PROCESSES


def test_every_secret_and_database_has_a_setting() -> None:
    assert set(_SECRETS) == set(Secret)
    assert set(_URLS) == {history for process in PROCESSES.values() for history in process.databases}
