"""What the stack needs to know of a Kafka broker, whichever program it is."""

from __future__ import annotations

from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.processes.ports import accepts
from deploy.local.processes.server import Server

_ASK_LIMIT_S = 5


class Broker(Server, Protocol):
    """A Kafka broker that can be started and stopped."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients begin: ``host:port``."""
        ...

    @property
    def survives_restart(self) -> bool:
        """Whether what was written is there after its process has ended."""
        ...


def answers(bootstrap_servers: str) -> bool:
    """Whether a broker on a loopback ``host:port`` tells its topics."""
    # Asking the port first spares librdkafka's complaints about a broker that is still starting.
    if not accepts(int(bootstrap_servers.rpartition(":")[2])):
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=_ASK_LIMIT_S).brokers)
    except KafkaException:
        return False
