"""Offsets of a range of a topic, as the cluster has them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka.admin import AdminClient

from services.cli.support.output import note
from services.cli.support.tapes.topic_range import EVERY_PARTITION, Offsets, TopicRange
from shared.errors import InvalidInput, NotFound
from shared.kafka.topics import Bounds, Partition, bounds_of, describe, offsets_at


def partitions_of(admin: AdminClient, topic: str) -> int:
    """Return how many partitions a topic has; NotFound if Kafka does not have it."""
    state = describe(admin, [topic])[topic]
    if state is None:
        raise NotFound(f"Kafka has no topic {topic}; check its name and the cluster, see `exitflow settings`")
    return state.partitions


def resolve(admin: AdminClient, topic: str, numbers: Sequence[int], topic_range: TopicRange) -> dict[Partition, Bounds]:
    """Return the range of each partition of a topic, by the cluster's name of the topic.

    Raises
    ------
    InvalidInput
        A partition or an offset is not there, or the range ends before it begins.
    """
    partitions = [(topic, number) for number in numbers]
    named = (*topic_range.from_offsets, *topic_range.to_offsets)
    unknown = [n for n in named if n is not EVERY_PARTITION and n not in numbers]
    if unknown:
        raise InvalidInput(f"{topic} has no partition {unknown[0]} to read; there are {', '.join(map(str, numbers))}")
    held = bounds_of(admin, partitions)
    begins = _begins(admin, held, topic_range)
    ends = _ends(admin, held, topic_range)
    found = {each: Bounds(begins[each], ends[each]) for each in partitions}
    for (_, number), (begin, end) in found.items():
        if begin > end:
            raise InvalidInput(f"{topic} partition {number}: the range ends at {end}, before it begins at {begin}")
    return found


def _begins(admin: AdminClient, held: Mapping[Partition, Bounds], topic_range: TopicRange) -> dict[Partition, int]:
    if topic_range.since_ms is None:
        return {each: _begin(each, bounds, topic_range.from_offsets) for each, bounds in held.items()}
    at = offsets_at(admin, list(held), topic_range.since_ms)
    found = {each: bounds.end if (offset := at[each]) is None else offset for each, bounds in held.items()}
    cut = [each[1] for each, bounds in held.items() if 0 < bounds.beginning == found[each]]
    if cut:
        note(
            f"partitions {', '.join(map(str, cut))} are read from the first record kept by retention; "
            "earlier ones of the range may be gone"
        )
    return found


def _begin(partition: Partition, bounds: Bounds, offsets: Offsets) -> int:
    topic, number = partition
    asked = offsets.get(number, offsets.get(EVERY_PARTITION))
    if asked is None:
        return bounds.beginning
    if asked < bounds.beginning:
        raise InvalidInput(
            f"{topic} partition {number}: offset {asked} is gone; retention has kept {bounds.beginning} and later: "
            f"begin with --from-offset {number}:{bounds.beginning}"
        )
    _require_end(partition, asked, bounds)
    return asked


def _ends(admin: AdminClient, held: Mapping[Partition, Bounds], topic_range: TopicRange) -> dict[Partition, int]:
    if topic_range.until_ms is not None:
        at = offsets_at(admin, list(held), topic_range.until_ms)
        return {each: bounds.end if (offset := at[each]) is None else offset for each, bounds in held.items()}
    found = {}
    for partition, bounds in held.items():
        asked = topic_range.to_offsets.get(partition[1], topic_range.to_offsets.get(EVERY_PARTITION))
        if asked is not None:
            _require_end(partition, asked, bounds)
        found[partition] = bounds.end if asked is None else asked
    return found


def _require_end(partition: Partition, asked: int, bounds: Bounds) -> None:
    topic, number = partition
    if asked > bounds.end:
        raise InvalidInput(f"{topic} partition {number}: offset {asked} does not exist yet; it ends at {bounds.end}")
