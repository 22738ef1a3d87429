"""An outbox with a writer, and the settings of its relays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.settings import Settings
from tests.integration.outbox_relay.kafka_log import KafkaLog, open_log
from tests.integration.outbox_relay.outbox_writer import Writer, open_writer
from tests.integration.outbox_relay.relays import LEASE_S


@pytest.fixture
def writer(settings: Settings, topics: TopicNames) -> Iterator[Writer]:
    """A service with events."""
    with open_writer(settings, topics) as opened:
        yield opened


@pytest.fixture
def log(settings: Settings, topics: TopicNames) -> Iterator[KafkaLog]:
    """The topic of its events."""
    with open_log(settings, topics.on_cluster(EXIT_INTENTS)) as opened:
        yield opened


@pytest.fixture
def exit_relay(relay_settings: Settings) -> Settings:
    """Settings of a relay of the exit outbox with a lease for as long as it is at work."""
    return relay_settings.model_copy(update={"relay_outboxes": "exit", "relay_lease_s": LEASE_S})
