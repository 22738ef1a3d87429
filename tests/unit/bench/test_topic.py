"""The checker of topics finds each kind of fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from bench.relay import records
from bench.relay.topic import Content, Reading

EVENTS = 30_000


@dataclass
class Record:
    """As much of a message as the checker looks at."""

    number: int
    at_partition: int = 0

    def key(self) -> bytes:
        return records.key_of(self.number).encode()

    def value(self) -> bytes:
        return records.payload_of(self.number)

    def partition(self) -> int:
        return self.at_partition

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_000 * self.number

    def headers(self) -> list[tuple[str, bytes]]:
        return [("ce_id", b"1")]


def _content(numbers: Iterable[int], expected: int = EVENTS) -> Content:
    reading = Reading()
    for number in numbers:
        reading.take(Record(number))  # type: ignore[arg-type]  # a stand-in
    return reading.content(expected)


@pytest.fixture(scope="module")
def twins() -> tuple[int, int]:
    """Two events of one key, the earlier first."""
    by_key = defaultdict(list)
    for number in range(EVENTS):
        by_key[records.key_of(number)].append(number)
    first, second = next(iter(by_key.values()))[:2]
    return first, second


def test_a_whole_topic_in_order_has_no_fault() -> None:
    content = _content(range(1_000), expected=1_000)
    assert (content.lost, content.duplicates, content.disorder, content.foreign) == (0, 0, 0, 0)
    assert content.appended_s == [float(number) for number in range(1_000)]


def test_an_event_that_is_not_there_is_lost() -> None:
    assert _content(range(999), expected=1_000).lost == 1


def test_repeated_event_is_duplicate_and_not_disorder(twins: tuple[int, int]) -> None:
    first, second = twins
    content = _content([first, second, first])
    assert (content.duplicates, content.disorder) == (1, 0)


def test_later_event_before_earlier_one_of_key_is_disorder(twins: tuple[int, int]) -> None:
    first, second = twins
    assert _content([second, first]).disorder == 1


def test_a_key_on_two_partitions_is_convicted(twins: tuple[int, int]) -> None:
    reading = Reading()
    for partition, number in enumerate(twins):
        reading.take(Record(number, partition))  # type: ignore[arg-type]  # a stand-in
    assert reading.content(EVENTS).foreign == 1


def test_a_payload_has_its_size_and_its_number() -> None:
    for number in (0, 7, 299_999):
        assert len(records.payload_of(number)) == records.PAYLOAD_BYTES
        assert records.number_of(records.payload_of(number)) == number
