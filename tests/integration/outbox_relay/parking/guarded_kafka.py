"""A broker with access rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.processes.ports import free_port
from shared.kafka.clients import open_admin
from shared.settings import Settings
from tests.support.servers import server_directory
from tests.support.waiting import LIMIT_S

EVERYBODY = "User:*"


class GuardedKafka(ApacheKafka):
    """Everything without a rule is allowed."""

    def _configuration(self) -> str:
        return super()._configuration() + (
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "allow.everyone.if.no.acl.found=true\n"
        )


@contextmanager
def running_guarded_kafka() -> Iterator[GuardedKafka]:
    """A broker of one's own, stopped and removed afterwards."""
    with server_directory("kafka") as directory:
        port = free_port(str(directory))
        broker = GuardedKafka(directory, port, free_port(str(directory), avoid={port}))
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


def forbid_writing(settings: Settings, topic: str) -> None:
    """Let nobody write to the topic, and everybody do all else."""
    admin = open_admin(settings)
    rules = [
        _rule(topic, AclOperation.ALL, AclPermissionType.ALLOW),
        _rule(topic, AclOperation.WRITE, AclPermissionType.DENY),
    ]
    for future in admin.create_acls(rules).values():
        future.result(timeout=LIMIT_S)


def allow_writing(settings: Settings, topic: str) -> None:
    """No rule speaks of the topic any more."""
    any_rule = AclBindingFilter(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        EVERYBODY,
        "*",
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    admin = open_admin(settings)
    for future in admin.delete_acls([any_rule]).values():
        future.result(timeout=LIMIT_S)


def _rule(topic: str, operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    return AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, EVERYBODY, "*", operation, permission)
