"""Selection of the stack's Kafka."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from deploy.local.kafka.class_archiving import ensure_class_archive
from deploy.local.kafka.jars import VERSION, jars_cached, kafka_jars, require_maven
from deploy.local.kafka.java import find_java
from deploy.local.postgres.unix_account import server_account
from shared.errors import ConfigurationError

EXTERNAL_SETTING = "EXITFLOW_KAFKA_BOOTSTRAP_SERVERS"


class KafkaChoice(StrEnum):
    """The options of --kafka."""

    AUTO = "auto"
    APACHE = "apache"
    TANSU = "tansu"
    EXTERNAL = "external"


@dataclass(frozen=True)
class Decision:
    """The selected Kafka.

    Attributes
    ----------
    kafka:
        Never AUTO.
    note:
        One line for the operator where the choice was ours and costs something, else empty.
    bootstrap_servers:
        Of an external cluster, else empty.
    """

    kafka: KafkaChoice
    note: str = ""
    bootstrap_servers: str = ""


def decide(wanted: KafkaChoice, on_progress: Callable[[str], None] = lambda _: None) -> Decision:
    """Return the broker to run: for AUTO the configured cluster, else Apache Kafka, else Tansu.

    Apache Kafka requires its jars, so this downloads them the first time.

    Raises
    ------
    ConfigurationError
        The choice cannot be had; the message names the missing part.
    """
    match wanted:
        case KafkaChoice.TANSU:
            return Decision(KafkaChoice.TANSU, "Tansu keeps its log in memory: each start begins with an empty log")
        case KafkaChoice.APACHE:
            _require_apache(on_progress)
            return Decision(KafkaChoice.APACHE)
        case KafkaChoice.EXTERNAL:
            return _external()
        case KafkaChoice.AUTO:
            return _external() if os.environ.get(EXTERNAL_SETTING) else _embedded(on_progress)


def _external() -> Decision:
    servers = os.environ.get(EXTERNAL_SETTING)
    if not servers:
        raise ConfigurationError(f"an external Kafka needs {EXTERNAL_SETTING}; set it to its bootstrap servers")
    return Decision(KafkaChoice.EXTERNAL, f"using the Kafka cluster of {EXTERNAL_SETTING}", servers)


def _embedded(on_progress: Callable[[str], None]) -> Decision:
    try:
        _require_apache(on_progress)
    except ConfigurationError as missing:
        return Decision(
            KafkaChoice.TANSU,
            f"Apache Kafka cannot run here ({missing}): Tansu takes its place, in memory, "
            "so nothing survives its process and each start begins with a fresh database",
        )
    return Decision(KafkaChoice.APACHE)


def _require_apache(on_progress: Callable[[str], None]) -> None:
    find_java(server_account())
    if not jars_cached():
        require_maven()
        on_progress(f"fetching Apache Kafka {VERSION} with Maven, this once")
        kafka_jars()
    ensure_class_archive(on_progress)
