"""Changes of topics by an administrator of the cluster, while services read them."""

from __future__ import annotations

from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewTopic

from shared.kafka.clients import open_admin
from shared.kafka.topic_changes import grow_topics
from shared.kafka.topics import describe
from shared.settings import Settings
from tests.support.waiting import wait_until

ANSWER_S = 15


def delete_topic(settings: Settings, topic: str) -> None:
    """Delete a topic and wait until the cluster does not know it any more."""
    admin = open_admin(settings)
    admin.delete_topics([topic])[topic].result(ANSWER_S)
    wait_until(lambda: describe(admin, [topic])[topic] is None, f"{topic} is gone")


def create_topic(settings: Settings, topic: str) -> None:
    """Create a topic and wait until the cluster knows it."""
    admin = open_admin(settings)
    admin.create_topics([NewTopic(topic, settings.topic_partitions, 1)])[topic].result(ANSWER_S)
    wait_until(lambda: describe(admin, [topic])[topic] is not None, f"{topic} is there")


def replace_topic(settings: Settings, topic: str) -> None:
    """Delete a topic and create it again."""
    delete_topic(settings, topic)
    create_topic(settings, topic)


def grow(settings: Settings, partitions: int, *topics: str) -> None:
    """Give topics more partitions."""
    assert grow_topics(settings, list(topics), partitions) == list(topics)


def remove_records(settings: Settings, topic: str, partition: int, before: int) -> None:
    """Remove the records of a partition before an offset, as retention does."""
    admin = open_admin(settings)
    for future in admin.delete_records([TopicPartition(topic, partition, before)]).values():
        future.result(ANSWER_S)
