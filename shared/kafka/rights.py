"""Kafka access rights: one user for each process, with least privilege."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from shared.contracts.topics import (
    ALL_TOPICS,
    EVENT_TOPICS,
    EXIT_INTENTS,
    MARKET_TICKS,
    OPERATIONS_CONTROLS,
    TRADES,
    TopicNames,
    dead_letter_topic,
)
from shared.kafka.topics import answer_of

OPERATOR = "operator"
ANY_HOST = "*"
EVERY_GROUP = "*"
THE_CLUSTER = "kafka-cluster"
REQUEST_TIMEOUT_S = 30
SCRAM_ITERATIONS = 8192


@dataclass(frozen=True, slots=True)
class Rights:
    """Topics of `shared.contracts.topics` for a user to read and write; reading includes its own groups.

    Attributes
    ----------
    sees_groups:
        May also list every consumer group and its offsets, as `exitflow topics adopt` needs.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    sees_groups: bool = False


EVERY_TOPIC = tuple(name for topic in ALL_TOPICS for name in (topic, dead_letter_topic(topic)))

RIGHTS = {
    # After a restore, the newest events on Kafka are compared with those of the database.
    "relay": Rights(reads=EVENT_TOPICS, writes=EVENT_TOPICS),
    # A tick on the wrong partition is sent to the right one.
    "exit-ticks": Rights(
        reads=(MARKET_TICKS, TRADES),
        writes=(MARKET_TICKS, dead_letter_topic(MARKET_TICKS), dead_letter_topic(TRADES)),
    ),
    "trade-fills": Rights(
        reads=(EXIT_INTENTS, OPERATIONS_CONTROLS),
        writes=(dead_letter_topic(EXIT_INTENTS), dead_letter_topic(OPERATIONS_CONTROLS)),
    ),
    "paper-broker": Rights(reads=(MARKET_TICKS, TRADES)),
    "market-data": Rights(writes=(MARKET_TICKS,)),
    OPERATOR: Rights(reads=EVERY_TOPIC, sees_groups=True),
    "reader": Rights(reads=EVERY_TOPIC),
}
"""By user. ``market-data`` publishes ticks, ``operator`` runs commands of operators, ``reader`` is for other teams."""


def acls(topics: TopicNames, consumer_prefix: str) -> list[AclBinding]:
    """Return the ACLs required on a cluster that denies by default."""
    return [binding for user, rights in RIGHTS.items() for binding in _of_user(user, rights, topics, consumer_prefix)]


def _of_user(user: str, rights: Rights, topics: TopicNames, consumer_prefix: str) -> Iterator[AclBinding]:
    # Who may read or write a topic may describe it too.
    for topic in rights.reads:
        for operation in (AclOperation.READ, AclOperation.DESCRIBE_CONFIGS):
            yield _allow(user, ResourceType.TOPIC, topics.on_cluster(topic), operation)
    for topic in rights.writes:
        yield _allow(user, ResourceType.TOPIC, topics.on_cluster(topic), AclOperation.WRITE)
    if rights.reads:
        group = f"{consumer_prefix}-{user}"
        yield _allow(user, ResourceType.GROUP, group, AclOperation.READ, ResourcePatternType.PREFIXED)
    if rights.sees_groups:
        yield _allow(user, ResourceType.BROKER, THE_CLUSTER, AclOperation.DESCRIBE)
        yield _allow(user, ResourceType.GROUP, EVERY_GROUP, AclOperation.DESCRIBE)


def _allow(
    user: str,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", ANY_HOST, operation, AclPermissionType.ALLOW)


def make_users(admin: AdminClient, passwords: dict[str, str]) -> None:
    """Set each user's SCRAM-SHA-512 password, creating missing users.

    Raises
    ------
    KafkaException
        The cluster refuses, or does not answer.
    """
    wanted: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS), password.encode()
        )
        for user, password in passwords.items()
    ]
    for future in admin.alter_user_scram_credentials(wanted, request_timeout=REQUEST_TIMEOUT_S).values():
        answer_of(future, REQUEST_TIMEOUT_S)


def allow(admin: AdminClient, wanted: list[AclBinding]) -> None:
    """Create missing ACLs; keep all others.

    Raises
    ------
    KafkaException
        The cluster refuses, or does not answer.
    """
    for future in admin.create_acls(wanted, request_timeout=REQUEST_TIMEOUT_S).values():
        answer_of(future, REQUEST_TIMEOUT_S)
