"""Find out whether Kafka answers, before clients with long time-outs do."""

from __future__ import annotations

from confluent_kafka import KafkaException

from shared.errors import Unavailable
from shared.kafka.clients import open_admin
from shared.settings import PREFIX, Settings

KAFKA_ANSWER_S = 5.0


def require_kafka(settings: Settings) -> Settings:
    """Return the settings once their Kafka has answered.

    Raises
    ------
    Unavailable
        It does not answer within KAFKA_ANSWER_S seconds.
    """
    try:
        open_admin(settings).list_topics(timeout=KAFKA_ANSWER_S)
    except KafkaException as error:
        raise Unavailable(
            f"Kafka at {settings.kafka_bootstrap_servers} does not answer ({error.args[0].str()}): "
            f"is {PREFIX}KAFKA_BOOTSTRAP_SERVERS right? `exitflow doctor` finds out why"
        ) from error
    return settings
