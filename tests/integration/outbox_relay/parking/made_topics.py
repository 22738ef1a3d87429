"""Topics made with settings of their own."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka.cimpl import NewTopic

from shared.kafka import open_admin
from shared.settings import Settings


def make_topic(settings: Settings, name: str, config: Mapping[str, str]) -> None:
    """Make one topic of the environment."""
    topic = NewTopic(name, num_partitions=settings.topic_partitions, replication_factor=1, config=dict(config))
    admin = open_admin(settings)
    for future in admin.create_topics([topic]).values():
        future.result(timeout=20)
