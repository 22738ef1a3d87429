"""A producer's first record for a partition goes alone, because the partition does not know the producer yet.

librdkafka prepares the next request while one is in flight, and sends it even after a final refusal of the one before.
A partition that knows the producer refuses such a request as out of order. Another one accepts any
first sequence number: later events of a key would be in the log before earlier ones.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from confluent_kafka import KafkaError, Message

from services.outbox_relay.publishing.topic_layouts import ANY_PARTITION
from services.outbox_relay.shards.acknowledgements import OnReport
from shared.clock import Clock

Place = int | str
"""Where in a topic a record goes: a partition, or a key while its partition is not known."""

KNOWN_S = 600
"""A partition counts as knowing its producer for so long. Kafka forgets a producer after a day without records."""


def place_of(key: str, partition: int) -> Place:
    """Return where in its topic a record goes, as far as it is known."""
    return key if partition == ANY_PARTITION else partition


class FirstRecords:
    """Partitions that know one producer, and those with its first record on the way.

    Attributes
    ----------
    known:
        The places of each topic whose records need no care.
    """

    def __init__(self, clock: Clock) -> None:
        self.known: defaultdict[str, set[Place]] = defaultdict(set)
        self._under_way: defaultdict[str, set[Place]] = defaultdict(set)
        self._clock = clock
        self._forget_at = clock.monotonic() + KNOWN_S

    def forget_old(self) -> None:
        """Forget every known place from time to time."""
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + KNOWN_S
            self.known.clear()

    def take(self, topic: str, key: str, partition: int, reported: OnReport) -> OnReport | None:
        """Return the callback of a record to send now; None while the first record of its place is on the way.

        Parameters
        ----------
        reported:
            The callback it would have otherwise.
        """
        place = place_of(key, partition)
        if place in self.known[topic]:
            return reported
        if place in self._under_way[topic]:
            return None
        self._under_way[topic].add(place)
        return partial(self._reported, topic, place, reported)

    def give_back(self, topic: str, key: str, partition: int) -> None:
        """Note a failure to send a record taken before."""
        self._under_way[topic].discard(place_of(key, partition))

    def _reported(
        self, topic: str, place: Place, reported: OnReport, error: KafkaError | None, message: Message
    ) -> None:
        self._under_way[topic].discard(place)
        if error is None:
            self.known[topic].add(place)
        reported(error, message)
