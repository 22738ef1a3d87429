"""Options of `up`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.selection import KafkaChoice


@dataclass(frozen=True)
class StackOptions:
    """A local stack.

    Attributes
    ----------
    data_dir:
        Everything of it is kept here; made if missing.
    kafka:
        The broker it runs on.
    restrict_to:
        Names of the only services to start; None means all. PostgreSQL and Kafka always run.
    ready_timeout_s:
        How long the servers, and then the services, may take to become ready; None means as the settings say.
    """

    data_dir: Path
    kafka: KafkaChoice = KafkaChoice.AUTO
    restrict_to: tuple[str, ...] | None = None
    ready_timeout_s: float | None = None
