"""Records allowed to be sent while the first one of their partition is on the way."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, Message

from services.outbox_relay.publishing.first_records import KNOWN_S, FirstRecords
from services.outbox_relay.publishing.topic_layouts import ANY_PARTITION
from tests.unit.outbox_relay.clock import StandingClock


class Reports:
    """The reports of the records."""

    def __init__(self) -> None:
        self.errors: list[KafkaError | None] = []

    def __call__(self, error: KafkaError | None, _: Message) -> None:
        self.errors.append(error)


@pytest.fixture
def clock() -> StandingClock:
    """The clock of the records."""
    return StandingClock()


@pytest.fixture
def first_records(clock: StandingClock) -> FirstRecords:
    """Those of a new producer."""
    return FirstRecords(clock)


MESSAGE: Message = None  # type: ignore[assignment]  # nobody looks at it


def report(first_records: FirstRecords, key: str, partition: int, error: KafkaError | None = None) -> Reports:
    """Take a record of a key and report it."""
    reports = Reports()
    callback = first_records.take("topic", key, partition, reports)
    assert callback is not None
    callback(error, MESSAGE)
    return reports


def may_go(first_records: FirstRecords, key: str, partition: int) -> bool:
    """Return True if a record may be sent now; it is not sent."""
    is_free = first_records.take("topic", key, partition, Reports()) is not None
    if is_free:
        first_records.give_back("topic", key, partition)
    return is_free


def test_the_second_record_waits_until_the_first_is_acknowledged(first_records: FirstRecords) -> None:
    reports = Reports()
    first = first_records.take("topic", "key", 3, reports)
    assert first is not None
    assert not may_go(first_records, "other", 3)
    assert may_go(first_records, "other", 4), "another partition"
    first(None, MESSAGE)
    assert reports.errors == [None]
    assert first_records.take("topic", "key", 3, reports) is reports
    assert first_records.take("topic", "other", 3, reports) is reports
    assert 3 in first_records.known["topic"]


def test_a_key_is_a_place_while_partitions_are_unknown(first_records: FirstRecords) -> None:
    assert first_records.take("topic", "key", ANY_PARTITION, Reports()) is not None
    assert not may_go(first_records, "key", ANY_PARTITION)
    assert may_go(first_records, "other", ANY_PARTITION)


def test_a_refused_record_makes_nothing_known(first_records: FirstRecords) -> None:
    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    assert report(first_records, "key", 3, error).errors == [error]
    assert not first_records.known["topic"]
    assert may_go(first_records, "key", 3)


def test_what_could_not_be_sent_holds_up_nothing(first_records: FirstRecords) -> None:
    assert first_records.take("topic", "key", 3, Reports()) is not None
    first_records.give_back("topic", "key", 3)
    assert may_go(first_records, "key", 3)


def test_known_places_are_forgotten_before_kafka_forgets_them(
    first_records: FirstRecords, clock: StandingClock
) -> None:
    report(first_records, "key", 3)
    clock.elapsed_s += KNOWN_S / 2
    first_records.forget_old()
    assert first_records.known["topic"]
    clock.elapsed_s += KNOWN_S / 2
    first_records.forget_old()
    assert not first_records.known["topic"]
