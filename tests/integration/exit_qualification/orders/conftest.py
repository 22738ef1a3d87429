"""A floor for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from shared.runtime import failpoints
from tests.integration.exit_qualification.orders.floor import PATIENT, QUICK, Floor
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker


@pytest.fixture
def broker() -> ScriptedBroker:
    """A scripted broker with empty books and no market."""
    return ScriptedBroker()


@pytest.fixture
def floor(exit_engine: Engine, broker: ScriptedBroker) -> Floor:
    """A floor on which claims last for longer than the test."""
    return Floor(exit_engine, broker, PATIENT)


@pytest.fixture
def quick_floor(exit_engine: Engine, broker: ScriptedBroker) -> Floor:
    """The same floor with claims and proofs of absence that take parts of a second."""
    return Floor(exit_engine, broker, QUICK)


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Failpoints may be armed; disarmed afterwards."""
    monkeypatch.setenv("EXITFLOW_TESTING", "1")
    yield
    failpoints.disarm_all()
