"""Content of a topic: number, times, completeness and order of its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from bench.relay.place import KAFKA_LIMIT_S, Place
from bench.relay.records import PARTITIONS, PAYLOAD_BYTES, key_of, number_of
from shared.clock import SystemClock
from shared.errors import Unavailable

_CHUNK = 20_000
WARNINGS = 4
"""Level by syslog's count; each client of librdkafka ends with a complaint about unsent events."""
READ_LIMIT_S = 120


@dataclass(frozen=True)
class Content:
    """A topic, checked against the events 0 to `expected` - 1.

    Attributes
    ----------
    appended_s:
        When the broker appended each event's first record, in seconds since 1970, sorted.
    lost, duplicates:
        Absent events; records beyond the first of an event.
    disorder:
        First records after a later event of the same key.
    foreign:
        Records with another key, payload or partition than their event's.
    headers:
        The mean number of headers a record carries.
    """

    appended_s: list[float]
    lost: int
    duplicates: int
    disorder: int
    foreign: int
    headers: float


class Ends:
    """Asks the broker, in one request, how many records the topic holds."""

    def __init__(self, place: Place) -> None:
        self._admin = AdminClient({"bootstrap.servers": place.bootstrap_servers, "log_level": WARNINGS})
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it has no annotations
        self._latest = {TopicPartition(place.topic, n): latest for n in range(PARTITIONS)}

    def records(self) -> int:
        """Count the records so far."""
        found = self._admin.list_offsets(self._latest, request_timeout=KAFKA_LIMIT_S)
        return sum(int(future.result(timeout=KAFKA_LIMIT_S).offset) for future in found.values())


def open_consumer(place: Place) -> Consumer:
    """Return a consumer of all partitions from their beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": place.bootstrap_servers,
            "group.id": "bench",
            "enable.auto.commit": False,
            "socket.nagle.disable": True,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(place.topic, n, OFFSET_BEGINNING) for n in range(PARTITIONS)])
    return consumer


def read_content(place: Place, expected: int) -> Content:
    """Read the whole topic and check it; Unavailable if it cannot be read in time."""
    reading = Reading()
    for message in _messages(place):
        reading.take(message)
    return reading.content(expected)


class Reading:
    """A topic checked record by record, in partition order."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._latest: dict[str, int] = {}
        self._partitions: dict[str, int | None] = {}
        self._foreign = 0
        self._disorder = 0
        self._headers = 0
        self._records = 0

    def take(self, message: Message) -> None:
        """Note one record."""
        self._records += 1
        self._headers += len(message.headers() or [])
        key, number = (message.key() or b"").decode(), _number(message.value() or b"")
        home = self._partitions.setdefault(key, message.partition())
        if number is None or key != key_of(number) or home != message.partition():
            self._foreign += 1
        elif number not in self._first:
            self._first[number] = message.timestamp()[1] / 1000
            self._disorder += number < self._latest.get(key, 0)
            self._latest[key] = max(number, self._latest.get(key, 0))

    def content(self, expected: int) -> Content:
        """Compare the records with the events 0 to `expected` - 1."""
        return Content(
            appended_s=sorted(self._first.values()),
            lost=expected - sum(1 for number in self._first if number < expected),
            duplicates=self._records - self._foreign - len(self._first),
            disorder=self._disorder,
            foreign=self._foreign,
            headers=self._headers / max(1, self._records),
        )


def _number(payload: bytes) -> int | None:
    try:
        return number_of(payload) if len(payload) == PAYLOAD_BYTES else None
    except ValueError:
        return None


def _messages(place: Place) -> Iterator[Message]:
    """Yield all records currently in the topic."""
    remaining = Ends(place).records()
    deadline = SystemClock().monotonic() + READ_LIMIT_S
    consumer = open_consumer(place)
    try:
        while remaining > 0:
            if SystemClock().monotonic() > deadline:
                raise Unavailable(f"{remaining} records of {place.topic} could not be read")
            for message in consumer.consume(min(_CHUNK, remaining), timeout=0.5):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                remaining -= 1
                yield message
    finally:
        consumer.close()
