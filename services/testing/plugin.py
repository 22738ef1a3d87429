"""pytest plugin: the fixture `exitflow_stack`, a real stack with PostgreSQL, Kafka and every process."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from services.testing.stack import ExitflowStack


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for choosing the stack."""
    group = parser.getgroup("exitflow")
    group.addoption("--exitflow-data-dir", type=Path, help="Use or keep the stack in this directory.")
    group.addoption(
        "--exitflow-kafka", default="auto", choices=("auto", "apache", "tansu", "external"), help="Kafka of the stack."
    )


@pytest.fixture(scope="session")
def exitflow_stack(request: pytest.FixtureRequest) -> Iterator[ExitflowStack]:
    """Provide one stack for the whole run; start and stop it unless it already runs in the given directory."""
    # Imported on first use: the plugin loads in every pytest run of an environment with exitflow.
    running = importlib.import_module("services.testing.stack")
    options = request.config
    with running.running_stack(
        options.getoption("--exitflow-data-dir"), options.getoption("--exitflow-kafka"), _report(request)
    ) as stack:
        yield stack


def _report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    return reporter.write_line if reporter is not None else lambda _: None
