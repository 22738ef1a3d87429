"""The Kafka log that the stored offsets belong to: its layout, its identity, and where reading can start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NoReturn

from confluent_kafka import Consumer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from services.exit_qualification.storage.log_identity import LogIdentity, LogIdentityRepository
from services.exit_qualification.storage.tick_checkpoints import Checkpoint
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.tick_metrics import RECORDS_MISSED
from shared.contracts.topics import MARKET_TICKS, TRADES, TopicNames
from shared.errors import ConfigurationError, LogIdentityChanged, Unavailable
from shared.kafka import ADMIN_TIMEOUT_S, partition_counts

log = logging.getLogger(__name__)

RESET_COMMAND = "exitflow ticks reset"


def layout_of(admin: AdminClient, topics: TopicNames) -> Layout:
    """The two topics on the cluster of an environment.

    Raises
    ------
    ConfigurationError
        One is missing, or they do not have the same number of partitions: a symbol's ticks and trades would then
        not meet in one worker.
    KafkaException
        The cluster does not answer.
    """
    return _layout(admin, topics.on_cluster(MARKET_TICKS), topics.on_cluster(TRADES))


def is_current(admin: AdminClient, layout: Layout) -> bool:
    """Whether the topics still have as many partitions as the layout says; errors as of `layout_of`."""
    return _layout(admin, layout.ticks, layout.trades) == layout


def _layout(admin: AdminClient, ticks: str, trades: str) -> Layout:
    counts = partition_counts(admin, [ticks, trades])
    if counts[ticks] != counts[trades]:
        raise ConfigurationError(
            f"{ticks} has {counts[ticks]} partitions and {trades} has {counts[trades]}; they must have the same number"
        )
    return Layout(ticks, trades, counts[ticks])


def identities_of(admin: AdminClient, layout: Layout) -> dict[str, LogIdentity]:
    """Which topics of which cluster these are.

    Raises
    ------
    KafkaException
        The cluster does not answer.
    """
    cluster_id = str(admin.list_topics(timeout=ADMIN_TIMEOUT_S).cluster_id)
    futures = admin.describe_topics(TopicCollection(layout.topics), request_timeout=ADMIN_TIMEOUT_S)
    return {name: LogIdentity(cluster_id, str(future.result().topic_id)) for name, future in futures.items()}


def check_identity(admin: AdminClient, layout: Layout, database: Engine) -> None:
    """Make sure that the stored offsets belong to this log; the first worker ever stores what it finds.

    Raises
    ------
    LogIdentityChanged
        They belong to another one, and reading on would skip records in silence.
    """
    found = identities_of(admin, layout)
    with database.begin() as connection:
        stored = LogIdentityRepository(connection).remember(found)
    for topic, identity in found.items():
        if stored[topic] != identity:
            raise LogIdentityChanged(
                f"{topic} is not the topic that the stored offsets belong to (cluster {stored[topic].cluster_id} topic "
                f"{stored[topic].topic_id} before, cluster {identity.cluster_id} topic {identity.topic_id} now); "
                f"`{RESET_COMMAND}` starts from its beginning"
            )


def start_offsets(consumer: Consumer, layout: Layout, checkpoints: Mapping[int, Checkpoint]) -> list[TopicPartition]:
    """Where to read on in each partition of both topics: at the stored offset, or the earliest there is.

    Raises
    ------
    KafkaException
        The cluster does not answer.
    """
    return [
        TopicPartition(topic, partition, _start_offset(consumer, topic, partition, stored))
        for partition, checkpoint in sorted(checkpoints.items())
        for topic, stored in ((layout.ticks, checkpoint.tick_offset), (layout.trades, checkpoint.trade_offset))
    ]


def explain_refusal(consumer: Consumer, topic: str, partition: int, stored: int) -> NoReturn:
    """Kafka has refused to read at a stored offset: say why.

    Only a refusal is believed: not every broker tells the end of its log right.

    Raises
    ------
    LogIdentityChanged
        The offset is beyond the end of the log.
    Unavailable
        Retention has just removed it; starting anew finds the earliest there is.
    """
    _, end = _bounds(consumer, topic, partition)
    if stored > end:
        raise LogIdentityChanged(
            f"{topic} partition {partition} ends at {end} and {stored} was read before: records are gone; "
            f"`{RESET_COMMAND}` starts from the beginning of the log"
        )
    raise Unavailable(f"{topic} partition {partition} has no offset {stored} any more")


def _start_offset(consumer: Consumer, topic: str, partition: int, stored: int) -> int:
    earliest, _ = _bounds(consumer, topic, partition)
    if 0 < stored < earliest:
        RECORDS_MISSED.labels(topic).inc(earliest - stored)
        log.error(
            "%s partition %d: retention removed offsets %d to %d before they were read; going on at %d",
            topic, partition, stored, earliest - 1, earliest,
        )  # fmt: skip
    return max(stored, earliest)


def _bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    bounds: tuple[int, int] | None = consumer.get_watermark_offsets(
        TopicPartition(topic, partition), timeout=ADMIN_TIMEOUT_S
    )
    if bounds is None:
        raise Unavailable(f"no offsets of {topic} partition {partition} within {ADMIN_TIMEOUT_S} s")
    return bounds
