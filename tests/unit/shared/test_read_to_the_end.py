"""A partition with nothing left to read is known to be at its end before the first answer to a fetch."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from shared.clock import SystemClock
from shared.kafka import consuming
from shared.kafka.consuming import WatchedConsumer
from shared.kafka.topics import TopicState
from shared.runtime.health import Health
from shared.settings import Settings

READ, BEHIND = ("ticks", 0), ("ticks", 1)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> WatchedConsumer:
    for client in ("open_consumer", "open_admin"):
        monkeypatch.setattr(consuming, client, Mock())
    return WatchedConsumer(Settings(), "group", {"ticks": TopicState("id", 2)}, Health(), SystemClock())


def test_only_partitions_without_a_backlog_are_at_their_end(consumer: WatchedConsumer) -> None:
    consumer.assign({READ: 5, BEHIND: 5}, {READ: 5, BEHIND: 6})
    assert consumer.ends == {READ: 5}


def test_without_the_ends_of_the_logs_kafka_tells_them(consumer: WatchedConsumer) -> None:
    consumer.assign({READ: 5})
    assert consumer.ends == {}
