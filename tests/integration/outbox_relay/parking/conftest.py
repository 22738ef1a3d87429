"""Operators' actions on an outbox, and the views of the tests of parking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.settings import Settings
from tests.integration.outbox_relay.parking.operator import Operator, open_operator


@pytest.fixture
def topic(topics: TopicNames) -> str:
    """The topic of a writer's events."""
    return topics.on_cluster(EXIT_INTENTS)


@pytest.fixture
def operator(settings: Settings) -> Iterator[Operator]:
    """The operator deciding about parked events."""
    with open_operator(settings) as opened:
        yield opened


@pytest.fixture
def narrow(exit_relay: Settings) -> Settings:
    """Few events in flight: a window has many batches."""
    return exit_relay.model_copy(update={"relay_batch_size": 200})
