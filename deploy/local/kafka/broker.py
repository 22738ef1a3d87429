"""Interface of the stack to a Kafka broker program."""

from __future__ import annotations

from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.processes.ports import accepts
from deploy.local.processes.server import Server

_ASK_LIMIT_S = 5


class Broker(Server, Protocol):
    """A Kafka broker to start and stop."""

    @property
    def bootstrap_servers(self) -> str:
        """Return the bootstrap address, ``host:port``."""
        ...

    @property
    def survives_restart(self) -> bool:
        """Return True if records survive the end of its process."""
        ...


def answers(bootstrap_servers: str) -> bool:
    """Return True if a broker on a loopback ``host:port`` lists its topics."""
    # Asking the port first spares librdkafka's complaints about a broker still starting.
    if not accepts(int(bootstrap_servers.rpartition(":")[2])):
        return False
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=_ASK_LIMIT_S).brokers)
    except KafkaException:
        return False
