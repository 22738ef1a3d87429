"""An Apache Kafka with authentication of every client, and the users and rights of `exitflow topics acls`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from deploy.local.kafka.apache import ApacheKafka
from deploy.local.kafka.security import ADMIN, KafkaSecurity, new_certificate
from deploy.local.processes.ports import free_port
from shared.contracts.topics import TopicNames
from shared.ids import new_secret
from shared.kafka.clients import flush_or_fail, open_admin, open_producer
from shared.kafka.rights import EVERY_TOPIC, RIGHTS, acls, allow, make_users
from shared.kafka.topic_changes import create_topics
from shared.settings import Settings
from tests.conftest import is_apache
from tests.support.servers import server_directory
from tests.unit.cli.conftest import exitflow

__all__ = ["exitflow"]

PARTITIONS = 1


@dataclass(frozen=True)
class SecuredKafka:
    """The broker, and how each user logs in."""

    broker: ApacheKafka
    security: KafkaSecurity
    passwords: dict[str, str]

    def settings(self, user: str) -> Settings:
        """Return the settings of a process as this user; the administrator logs in by PLAIN."""
        is_admin = user == ADMIN
        return Settings(
            kafka_bootstrap_servers=self.broker.bootstrap_servers,
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="PLAIN" if is_admin else "SCRAM-SHA-512",
            kafka_username=user,
            kafka_password=SecretStr(self.security.admin_password if is_admin else self.passwords[user]),
            kafka_ca=self.security.certificate.ca,
            kafka_watch_s=0.2,
            topic_partitions=PARTITIONS,
        )

    def environment(self, user: str) -> dict[str, str]:
        """Return the same as environment variables."""
        settings = self.settings(user)
        assert settings.kafka_password is not None
        return {
            "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "EXITFLOW_KAFKA_SECURITY_PROTOCOL": settings.kafka_security_protocol,
            "EXITFLOW_KAFKA_SASL_MECHANISM": settings.kafka_sasl_mechanism,
            "EXITFLOW_KAFKA_USERNAME": user,
            "EXITFLOW_KAFKA_PASSWORD": settings.kafka_password.get_secret_value(),
            "EXITFLOW_KAFKA_CA": settings.kafka_ca or "",
            "EXITFLOW_TOPIC_PARTITIONS": str(PARTITIONS),
        }


@pytest.fixture(scope="package")
def secured() -> Iterator[SecuredKafka]:
    """The broker, its users and their rights, and its topics with one record each."""
    if not is_apache():
        pytest.skip("needs Apache Kafka; this session runs on Tansu")
    security = KafkaSecurity(new_certificate(["127.0.0.1"]), new_secret())
    with server_directory("secured-kafka") as directory:
        port = free_port(f"{directory}a")
        controller_port = free_port(f"{directory}b", avoid={port})
        broker = ApacheKafka(directory / "kafka", port, controller_port, security=security)
        broker.start()
        try:
            found = SecuredKafka(broker, security, {user: new_secret() for user in RIGHTS})
            _prepare(found.settings(ADMIN), found.passwords)
            yield found
        finally:
            broker.stop()


def _prepare(administrator: Settings, passwords: dict[str, str]) -> None:
    names = TopicNames(administrator.kafka_topic_prefix)
    admin = open_admin(administrator)
    create_topics(administrator, names.all_on_cluster())
    make_users(admin, passwords)
    allow(admin, acls(names, administrator.kafka_consumer_prefix))
    producer = open_producer(administrator)
    for topic in EVERY_TOPIC:
        producer.produce(topic, value=b"{}")
    flush_or_fail(producer)
