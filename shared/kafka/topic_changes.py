"""Create topics and give them partitions; return when the cluster shows the change to whoever asks next."""

from __future__ import annotations

import operator
from collections.abc import Collection

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from tenacity import (
    RetryError,
    Retrying,
    retry_any,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from shared.errors import ConfigurationError, Unavailable
from shared.kafka.clients import ADMIN_TIMEOUT_S, open_admin, partition_counts
from shared.kafka.topics import answer_of, describe
from shared.settings import Settings

TOPIC_CONFIG = {"message.timestamp.type": "LogAppendTime"}
"""Records bear the time of their arrival at the broker: producers' clocks agree with no other."""
SHOWN_TIMEOUT_S = 15
SHOWN_POLL_S = 0.02


def create_topics(settings: Settings, names: list[str]) -> list[str]:
    """Create the missing topics and return their names; existing topics keep their partitions.

    Raises
    ------
    Unavailable
        The cluster does not answer, or does not show a new topic in time.
    ConfigurationError
        It refuses.
    """
    admin = open_admin(settings)
    wanted = [
        NewTopic(
            name,
            num_partitions=settings.topic_partitions,
            replication_factor=settings.topic_replication,
            config=TOPIC_CONFIG,
        )
        for name in names
    ]
    made = []
    for name, future in admin.create_topics(wanted, request_timeout=ADMIN_TIMEOUT_S).items():
        try:
            answer_of(future, ADMIN_TIMEOUT_S)
            made.append(name)
        except KafkaException as error:
            _refuse_unless_present(name, error.args[0])
    _await_partitions(admin, made, settings.topic_partitions)
    return made


def grow_topics(settings: Settings, names: list[str], partitions: int) -> list[str]:
    """Raise topics to this many partitions and return the names of the changed ones.

    Raises
    ------
    ConfigurationError
        A topic does not exist, has more partitions, or the cluster refuses.
    Unavailable, KafkaException
        The cluster does not answer, or does not show the new partitions in time.
    """
    admin = open_admin(settings)
    counts = partition_counts(admin, names)
    if larger := sorted(name for name, count in counts.items() if count > partitions):
        raise ConfigurationError(f"{', '.join(larger)}: a topic cannot have fewer partitions than it has")
    smaller = [name for name, count in counts.items() if count < partitions]
    wanted = [NewPartitions(name, partitions) for name in smaller]
    futures = admin.create_partitions(wanted, request_timeout=ADMIN_TIMEOUT_S) if wanted else {}
    for name, future in futures.items():
        try:
            answer_of(future, ADMIN_TIMEOUT_S)
        except KafkaException as error:
            raise ConfigurationError(f"topic {name} cannot grow: {error.args[0].str()}") from error
    _await_partitions(admin, smaller, partitions)
    return smaller


def _await_partitions(admin: AdminClient, names: Collection[str], partitions: int) -> None:
    # The controller answers once the change is committed. Brokers apply it a little later, and until then metadata
    # shows the old state: `exitflow ticks rehome` right after a growth would take the old number for the layout.
    shown = Retrying(
        retry=retry_any(retry_if_result(operator.not_), retry_if_exception_type(KafkaException)),
        stop=stop_after_delay(SHOWN_TIMEOUT_S),
        wait=wait_fixed(SHOWN_POLL_S),
    )
    try:
        shown(_have, admin, names, partitions)
    except RetryError:
        raise Unavailable(
            f"Kafka accepted the change of {', '.join(names)} and does not show it after {SHOWN_TIMEOUT_S} s; "
            "run the command again once the brokers are well"
        ) from None


def _have(admin: AdminClient, names: Collection[str], partitions: int) -> bool:
    states = describe(admin, names).values() if names else ()
    return all(state is not None and state.partitions >= partitions for state in states)


def _refuse_unless_present(name: str, error: KafkaError) -> None:
    if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return
    if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT):
        raise Unavailable(f"Kafka does not answer: {error.str()}")
    raise ConfigurationError(f"topic {name} cannot be made: {error.str()}")
