"""The producers' settings, the waits for them, and when Kafka counts as silent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.outbox_relay.publishing.broker_answers import SILENCE_S
from services.outbox_relay.publishing.publisher import FEW_EVENTS, LEAST_WAIT_S, Publisher
from shared.kafka.clients import producer_config
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock


def test_only_one_idempotent_request_is_in_flight_acknowledged_by_all() -> None:
    config = producer_config(Settings())
    assert config["max.in.flight.requests.per.connection"] == 1
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"


class StandIn:
    """A producer; it keeps how long reports were waited for, and how long it was told to send at once."""

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self.waits: list[float] = []
        self.flushes: list[float] = []

    def __len__(self) -> int:
        return self._in_flight

    def poll(self, wait_s: float) -> int:
        self.waits.append(wait_s)
        return 0

    def flush(self, limit_s: float) -> int:
        self.flushes.append(limit_s)
        self._in_flight = 0
        return 0


@pytest.fixture
def clock() -> StandingClock:
    """The publisher's."""
    return StandingClock()


@pytest.fixture
def publisher(clock: StandingClock) -> Iterator[Publisher]:
    """A publisher without its own producers: they are closed already."""
    publisher = Publisher(Settings(kafka_bootstrap_servers="127.0.0.1:1"), clock, on_refused=lambda _: None)
    publisher.throw_away()
    yield publisher
    publisher._producers.clear()


MANY = FEW_EVENTS + 1


@pytest.mark.parametrize(
    ("in_flight", "waits"),
    [
        ((0, MANY), ([0], [0, 0.1])),
        ((MANY, 0), ([0, 0.1], [0])),
        ((MANY, 5), ([0, 0.05], [0, 0.05])),
        ((0, 0), ([0, 0.1], [0])),
    ],
)
def test_only_producers_with_something_in_flight_are_waited_for(
    publisher: Publisher, in_flight: tuple[int, int], waits: tuple[list[float], list[float]]
) -> None:
    producers = stand_ins(publisher, *in_flight)
    publisher.poll(0.1)
    assert tuple(producer.waits for producer in producers) == waits


def test_few_events_do_not_linger(publisher: Publisher) -> None:
    some, none, more = stand_ins(publisher, 1, 0, FEW_EVENTS - 1)
    assert publisher.poll(0.1) == FEW_EVENTS
    assert (some.flushes, none.flushes, more.flushes) == ([0.05], [], [0.05])


def test_no_wait_is_shorter_than_librdkafka_counts(publisher: Publisher) -> None:
    some, more = stand_ins(publisher, 1, 1)
    publisher.poll(0.001)
    assert some.flushes == more.flushes == [LEAST_WAIT_S]


def test_many_events_linger(publisher: Publisher) -> None:
    (many,) = stand_ins(publisher, MANY)
    publisher.poll(0.1)
    assert many.flushes == []


def stand_ins(publisher: Publisher, *in_flight: int) -> list[StandIn]:
    """Put producers with so many events in flight in the places of the publisher's own."""
    producers = [StandIn(events) for events in in_flight]
    publisher._producers[:] = producers  # type: ignore[assignment]  # they have the used methods
    return producers


def tell(publisher: Publisher, clock: StandingClock, producer: str, **answers_owed: int) -> None:
    """Half of the limit of silence passes; then a producer's statistics say how much each broker owes it."""
    clock.elapsed_s += SILENCE_S / 2
    brokers = {name: {"state": "UP", "waitresp_cnt": owed} for name, owed in answers_owed.items()}
    publisher._on_statistics(json.dumps({"name": producer, "brokers": brokers}))


def test_idle_kafka_is_silent_while_one_producer_awaits_answer(publisher: Publisher, clock: StandingClock) -> None:
    for _ in range(3):
        tell(publisher, clock, "first", broker=0)
        assert publisher.answers.silent_since() is None
    for _ in range(2):
        tell(publisher, clock, "first", broker=1)
        tell(publisher, clock, "second", broker=0)
    assert publisher.answers.silent_since() is not None
    tell(publisher, clock, "first", broker=0)
    assert publisher.answers.silent_since() is None


def test_one_broker_that_answers_is_enough(publisher: Publisher, clock: StandingClock) -> None:
    for _ in range(3):
        tell(publisher, clock, "first", stands_still=1, answers=0)
    assert publisher.answers.silent_since() is None
