"""A scenario for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from shared.runtime import failpoints
from tests.integration.exit_qualification.orders.order_scenario import PATIENT, QUICK, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker


@pytest.fixture
def broker() -> ScriptedBroker:
    """A scripted broker with empty books and no market."""
    return ScriptedBroker()


@pytest.fixture
def scenario(exit_engine: Engine, broker: ScriptedBroker) -> OrderScenario:
    """A scenario with claims longer than the test."""
    return OrderScenario(exit_engine, broker, PATIENT)


@pytest.fixture
def quick_scenario(exit_engine: Engine, broker: ScriptedBroker) -> OrderScenario:
    """The same scenario with claims of two seconds and proofs of absence of parts of one."""
    return OrderScenario(exit_engine, broker, QUICK)


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Failpoints may be armed; disarmed afterwards."""
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    failpoints.disarm_all()
