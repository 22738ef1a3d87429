"""Common fixtures of tests of the tick worker."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from shared.contracts.topics import TopicNames
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market


@pytest.fixture
def market(settings: Settings, topics: TopicNames) -> Market:
    """A market on the environment's topics."""
    return Market(settings, topics)


@pytest.fixture
def book(exit_engine: Engine) -> Book:
    """The database, rollout full and user broker ``paper`` connected."""
    return Book(exit_engine)
