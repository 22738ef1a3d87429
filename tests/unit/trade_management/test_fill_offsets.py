"""Offsets of trade-fills: committed once nothing more comes, and never between the events of one exit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message

from services.trade_management.fills.consumer import COMMIT_S, MOST_STEP_S, POLL_S, QUIET_S, FillMembership
from shared.clock import Clock
from shared.errors import Unavailable
from shared.kafka.topics import Partition
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from tests.support.records import message

TOPIC = "exits.intents.v1"


@dataclass
class FakeClock:
    """Monotonic time as the consumer's waits let it pass."""

    at: float = 100.0

    def monotonic(self) -> float:
        return self.at


@dataclass
class FakeConsumer:
    """Gives records out, one poll after the other; an empty poll lasts as long as it may."""

    clock: FakeClock
    polls: list[int]
    waits: list[float] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    sought: list[int] = field(default_factory=list)
    offset: int = 0

    @property
    def consumer(self) -> FakeConsumer:
        return self

    def take(self, _limit: int, wait_s: float) -> list[Message]:
        self.waits.append(wait_s)
        count = self.polls.pop(0)
        if not count:
            self.clock.at += wait_s
        first, self.offset = self.offset, self.offset + count
        return [message(TOPIC, b"", offset_=first + nth) for nth in range(count)]

    def seek(self, positions: dict[Partition, int]) -> None:
        self.sought += positions.values()

    def commit(self, offsets: list[Any], **_: bool) -> None:
        self.committed += [each.offset for each in offsets]


class Nothing:
    """Batches, gaps and log without any work."""

    def apply(self, records: list[Message]) -> Iterator[list[Message]]:
        yield records

    def show(self) -> None:
        return


@dataclass
class Slow:
    """Batches of one record, each of which takes so many seconds; one that never ends fails."""

    clock: FakeClock
    takes_s: list[float]

    def apply(self, records: list[Message]) -> Iterator[list[Message]]:
        for record, takes_s in zip(records, self.takes_s, strict=False):
            self.clock.at += takes_s
            if takes_s == math.inf:
                raise Unavailable("not now")
            yield [record]


def membership_of(consumer: FakeConsumer, batches: object = None) -> FillMembership:
    nothing = cast(Any, Nothing())
    clock = cast(Clock, consumer.clock)
    return FillMembership(cast(Any, consumer), nothing, cast(Any, batches) or nothing, nothing, Health(), clock, Stop())


def test_events_of_one_exit_are_applied_without_intermediate_commit() -> None:
    consumer = FakeConsumer(FakeClock(), [1, 1, 1, 0, 0])
    membership = membership_of(consumer)
    for _ in range(3):
        membership.step()
    assert consumer.committed == []
    membership.step()
    assert consumer.committed == [3], "nothing came for a moment"
    membership.step()
    assert consumer.waits == [POLL_S, QUIET_S, QUIET_S, QUIET_S, POLL_S]
    assert consumer.committed == [3], "nothing is left to commit"


def test_a_stream_of_records_is_committed_once_a_second() -> None:
    consumer = FakeConsumer(FakeClock(), [1] * 100)
    membership = membership_of(consumer)
    for _ in range(100):
        membership.step()
        consumer.clock.at += COMMIT_S / 40
    assert consumer.committed == [41, 82]


def test_what_is_applied_is_committed_before_leaving() -> None:
    consumer = FakeConsumer(FakeClock(), [2])
    membership = membership_of(consumer)
    membership.step()
    membership.finish()
    assert consumer.committed == [2]


def test_too_long_step_ends_and_its_rest_is_read_again() -> None:
    consumer = FakeConsumer(FakeClock(), [5])
    membership = membership_of(consumer, Slow(consumer.clock, [1, MOST_STEP_S, 1, 1, 1]))
    membership.step()
    membership.finish()
    assert (consumer.sought, consumer.committed) == ([2], [2])


def test_failed_batch_is_read_again_without_those_before_it() -> None:
    consumer = FakeConsumer(FakeClock(), [5])
    membership = membership_of(consumer, Slow(consumer.clock, [0, 0, math.inf]))
    membership.step()
    membership.finish()
    assert (consumer.sought, consumer.committed) == ([2], [2])
