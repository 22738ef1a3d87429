"""The environment's topics, one of them with a setting of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.cimpl import NewTopic

from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.kafka.clients import open_admin
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.support.servers import delete_topics
from tests.support.waiting import LIMIT_S


@contextmanager
def topics_with_small_batches(settings: Settings, limit_bytes: int) -> Iterator[TopicNames]:
    """The environment's topics; the topic of the writer's events takes no larger batches, from the start."""
    names = TopicNames(settings.kafka_topic_prefix)
    _make_topic(settings, names.on_cluster(EXIT_INTENTS), limit_bytes)
    try:
        create_topics(settings, names.all_on_cluster())
        yield names
    finally:
        delete_topics(settings.kafka_bootstrap_servers, settings.kafka_topic_prefix)


def topics_fixture(limit_bytes: int) -> Any:
    """The fixture `topics` of a file of tests on such topics: ``topics = topics_fixture(20_000)``."""

    @pytest.fixture
    def topics(settings: Settings) -> Iterator[TopicNames]:
        with topics_with_small_batches(settings, limit_bytes) as names:
            yield names

    return topics


def _make_topic(settings: Settings, name: str, limit_bytes: int) -> None:
    config = {"max.message.bytes": str(limit_bytes)}
    topic = NewTopic(name, num_partitions=settings.topic_partitions, replication_factor=1, config=config)
    admin = open_admin(settings)
    for future in admin.create_topics([topic]).values():
        future.result(timeout=LIMIT_S)
