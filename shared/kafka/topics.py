"""Topics as the cluster describes them now: identity, partitions, and both ends of each partition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec

from shared.errors import ConfigurationError

Partition = tuple[str, int]
"""The name of a topic on the cluster, and the number of a partition."""

ANSWER_S = 4.0
"""How long the cluster may take to answer one question."""

MARGIN_S = 1.0
"""So much longer than its time-out is a request waited for: librdkafka ends it with a better error."""

_EARLIEST = _OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # no types there
_LATEST = _OffsetSpec.latest()  # type: ignore[no-untyped-call]  # no types there
_UNKNOWN = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID, KafkaError._UNKNOWN_TOPIC})


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic's state; a recreated topic has another id."""

    topic_id: str
    partitions: int


class Bounds(NamedTuple):
    """A partition's first available offset and its next offset."""

    beginning: int
    end: int


def describe(admin: AdminClient, names: Collection[str]) -> dict[str, TopicState | None]:
    """Return each topic's state; None for an unknown topic.

    Raises
    ------
    KafkaException
        The cluster does not answer.
    """
    futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=ANSWER_S)
    return {name: _state(future) for name, future in futures.items()}


def require_topics(admin: AdminClient, names: Collection[str]) -> dict[str, TopicState]:
    """Return the state of each topic.

    Raises
    ------
    ConfigurationError
        One of them does not exist.
    KafkaException
        The cluster does not answer.
    """
    states = describe(admin, names)
    missing = [name for name, state in states.items() if state is None]
    if missing:
        raise ConfigurationError(f"no such topics: {', '.join(missing)}; run `exitflow topics create`")
    return {name: state for name, state in states.items() if state is not None}


def cluster_id_of(admin: AdminClient) -> str:
    """Return the id of the cluster.

    Raises
    ------
    KafkaException
        It does not answer.
    """
    return str(admin.list_topics(timeout=ANSWER_S).cluster_id)


def bounds_of(admin: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, Bounds]:
    """Return both ends of each partition.

    Raises
    ------
    KafkaException
        The cluster does not answer, or a partition has no leader now.
    """
    if not partitions:
        return {}
    asked = _offsets(admin, partitions, _EARLIEST), _offsets(admin, partitions, _LATEST)
    beginnings, ends = map(_known, asked)
    return {each: Bounds(beginnings[each], ends[each]) for each in partitions}


def beginnings_of(admin: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """Return the first available offset of each partition; errors as of `bounds_of`."""
    return _known(_offsets(admin, partitions, _EARLIEST)) if partitions else {}


def ends_of(admin: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """Return the next offset of each partition; errors as of `bounds_of`."""
    return _known(_offsets(admin, partitions, _LATEST)) if partitions else {}


def offsets_at(admin: AdminClient, partitions: Sequence[Partition], at_ms: int) -> dict[Partition, int | None]:
    """Return the offset of each partition's first record of a time, or later; None where there is none.

    The time is in milliseconds since 1970, by the timestamps of the records.

    Raises
    ------
    KafkaException
        The cluster does not answer, or a partition has no leader now.
    """
    spec = _OffsetSpec.for_timestamp(at_ms)
    found = {each: answer_of(future).offset for each, future in _offsets(admin, partitions, spec).items()}
    return {each: None if offset < 0 else offset for each, offset in found.items()}


def _offsets(admin: AdminClient, partitions: Sequence[Partition], spec: _OffsetSpec) -> dict[Partition, Future[Any]]:
    wanted = {TopicPartition(topic, partition): spec for topic, partition in partitions}
    futures = admin.list_offsets(wanted, request_timeout=ANSWER_S)
    return {(each.topic, each.partition): future for each, future in futures.items()}


def _known(futures: Mapping[Partition, Future[Any]]) -> dict[Partition, int]:
    return {each: answer_of(future).offset for each, future in futures.items()}


def _state(future: Future[Any]) -> TopicState | None:
    try:
        topic = answer_of(future)
    except KafkaException as error:
        if error.args[0].code() in _UNKNOWN:
            return None
        raise
    return TopicState(str(topic.topic_id), len(topic.partitions))


def answer_of(future: Future[Any], limit_s: float = ANSWER_S) -> Any:
    """Return the cluster's answer to a request with this time-out.

    Raises
    ------
    KafkaException
        The cluster refuses, or does not answer.
    """
    try:
        return future.result(limit_s + MARGIN_S)
    except TimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the cluster does not answer")) from error
