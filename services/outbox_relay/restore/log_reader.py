"""Read the records of an outbox's topics from Kafka: the last ones of each partition, or all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from shared.clock import Clock
from shared.errors import Unavailable
from shared.kafka.clients import open_consumer
from shared.kafka.topics import Bounds, Partition, bounds_of, describe
from shared.settings import Settings

GROUP = "relay"
"""Nothing is committed under it; librdkafka needs a name."""

BATCH = 1_000
POLL_S = 0.1
FETCH_WAIT_MS = "5"
"""Time after which a broker answers that a partition has no more records."""


NO_LEADER_YET = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
    }
)
LEADER_WAIT_S = 8.0


def has_no_leader_yet(error: BaseException) -> bool:
    """Return True if a partition elects its leader now."""
    return isinstance(error, KafkaException) and error.args[0].code() in NO_LEADER_YET


def read_records(
    settings: Settings,
    admin: AdminClient,
    topics: Sequence[str],
    clock: Clock,
    *,
    limit_s: float,
    last: int | None = None,
    group: str = GROUP,
) -> Iterator[Message]:
    """Yield the records that the partitions have now; only the `last` ones of each if given.

    Missing topics are left out.

    Raises
    ------
    KafkaException, Unavailable
        The cluster does not answer, or not all within `limit_s` seconds; or it refuses this user.
    """
    bounds = _filled(admin, topics)
    if not bounds:
        return
    consumer = open_consumer(settings, group, enable_partition_eof=True, fetch_wait_max_ms=FETCH_WAIT_MS)
    try:
        consumer.assign(
            [TopicPartition(topic, number, _start(found, last)) for (topic, number), found in bounds.items()]
        )
        yield from _to_the_ends(consumer, bounds, clock, limit_s)
    finally:
        consumer.close()


@retry(
    retry=retry_if_exception(has_no_leader_yet),
    stop=stop_after_delay(LEADER_WAIT_S),
    wait=wait_fixed(POLL_S),
    reraise=True,
)
def _filled(admin: AdminClient, topics: Sequence[str]) -> dict[Partition, Bounds]:
    """Return both ends of each partition with records; a topic just made may have no leader yet."""
    states = describe(admin, topics)
    partitions = [(topic, n) for topic, state in states.items() if state for n in range(state.partitions)]
    return {each: found for each, found in bounds_of(admin, partitions).items() if found.end > found.beginning}


def _start(bounds: Bounds, last: int | None) -> int:
    return bounds.beginning if last is None else max(bounds.beginning, bounds.end - last)


def _to_the_ends(
    consumer: Consumer, bounds: Mapping[Partition, Bounds], clock: Clock, limit_s: float
) -> Iterator[Message]:
    unfinished, deadline = set(bounds), clock.monotonic() + limit_s
    while unfinished:
        if clock.monotonic() > deadline:
            raise Unavailable(f"Kafka: {len(unfinished)} partitions could not be read to the end in {limit_s:.0f} s")
        for record in consumer.consume(BATCH, timeout=POLL_S):
            error, place = record.error(), (str(record.topic()), int(record.partition() or 0))
            if error is None:
                yield record
                # The end of a partition is told later, or wrongly by some brokers; either one suffices.
                if int(record.offset() or 0) + 1 >= bounds[place].end:
                    unfinished.discard(place)
            elif error.code() == KafkaError._PARTITION_EOF:
                unfinished.discard(place)
            elif not error.retriable():
                raise KafkaException(error)
