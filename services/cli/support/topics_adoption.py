"""Adopt a topic's added partitions: the relay then spreads its keys over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from sqlalchemy import Connection, text

from shared.errors import ConfigurationError, Conflict
from shared.kafka.clients import ADMIN_TIMEOUT_S, open_admin
from shared.kafka.rights import OPERATOR
from shared.kafka.topics import Partition, answer_of, bounds_of, require_topics
from shared.postgres.audit import Act, audit
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.settings import Settings

ACTION = "topics.adopt"

USED = text("SELECT topic, partitions FROM outbox_topic WHERE topic = ANY (:topics)")
ADOPT = text("""
-- outbox_topic.adopt
UPDATE outbox_topic SET partitions = :partitions, updated_at = clock_timestamp() WHERE topic = :topic
""")


@dataclass(frozen=True, slots=True)
class Adoption:
    """A topic with moving keys.

    Attributes
    ----------
    behind:
        Unread records of each group of readers, by its name.
    """

    topic: str
    used: int
    partitions: int
    behind: Mapping[str, int]


def plan(settings: Settings, databases: Mapping[str, str], topics: Sequence[str]) -> list[Adoption]:
    """Return the changes of adopting the topics, and the consumers still behind.

    Raises
    ------
    ConfigurationError
        A topic does not exist, or the Kafka user may not list every consumer group.
    KafkaException, SQLAlchemyError
        The cluster or a database does not answer.
    """
    admin = open_admin(settings)
    _require_every_group(admin)
    states = require_topics(admin, topics)
    used: dict[str, int] = {}
    for schema, url in databases.items():
        with _transaction(schema, url) as connection:
            used |= {row.topic: row.partitions for row in connection.execute(USED, {"topics": list(topics)})}
    grown = {topic: count for topic, count in used.items() if count < states[topic].partitions}
    return [
        Adoption(topic, count, states[topic].partitions, _behind(admin, topic, states[topic].partitions))
        for topic, count in sorted(grown.items())
    ]


def adopt(databases: Mapping[str, str], adoptions: Sequence[Adoption], act: Act, *, force: bool) -> None:
    """Store the new layouts; each relay finishes its events in flight, then uses them. Audited.

    Raises
    ------
    Conflict
        A group of readers is behind, and could meet later events of a key first; `force` accepts this.
    """
    late = {f"{each.topic}: {group} by {count}" for each in adoptions for group, count in each.behind.items() if count}
    if late and not force:
        raise Conflict(f"readers are behind ({'; '.join(sorted(late))}): wait until they have read everything")
    for schema, url in databases.items():
        with _transaction(schema, url) as connection:
            for each in adoptions:
                done = connection.execute(ADOPT, {"topic": each.topic, "partitions": each.partitions})
                if done.rowcount:
                    before, after = {"partitions": each.used}, {"partitions": each.partitions}
                    audit(connection, act, ACTION, each.topic, before, after)


def _require_every_group(admin: AdminClient) -> None:
    """Reject a user from whom the cluster hides consumer groups: no reader would ever seem to be behind."""
    cluster = admin.describe_cluster(include_authorized_operations=True, request_timeout=ADMIN_TIMEOUT_S)
    allowed = answer_of(cluster, ADMIN_TIMEOUT_S).authorized_operations
    if AclOperation.DESCRIBE not in (allowed or ()):
        raise ConfigurationError(
            f"This Kafka user may not list every consumer group. Run the command as user {OPERATOR}, "
            "or allow the user to describe the cluster and all groups."
        )


def _behind(admin: AdminClient, topic: str, partitions: int) -> dict[str, int]:
    places: list[Partition] = [(topic, number) for number in range(partitions)]
    ends = bounds_of(admin, places)
    behind = {}
    groups = admin.list_consumer_groups(request_timeout=ADMIN_TIMEOUT_S)
    for group in answer_of(groups, ADMIN_TIMEOUT_S).valid:
        asked = ConsumerGroupTopicPartitions(group.group_id, [TopicPartition(*place) for place in places])
        offsets = admin.list_consumer_group_offsets([asked], request_timeout=ADMIN_TIMEOUT_S)
        answer = answer_of(offsets[group.group_id], ADMIN_TIMEOUT_S)
        read = {(each.topic, each.partition): each.offset for each in answer.topic_partitions if each.offset >= 0}
        if read:
            behind[group.group_id] = sum(max(0, ends[place].end - offset) for place, offset in read.items())
    return behind


@contextmanager
def _transaction(schema: str, url: str) -> Iterator[Connection]:
    database = open_engine(url, schema, application="exitflow-topics-adopt", limits=TOOLS)
    try:
        with database.begin() as connection:
            yield connection
    finally:
        database.dispose()
