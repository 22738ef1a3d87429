"""However polls bring the records of both topics, those of a partition are judged in the order of their arrival."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import cast

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.ticks.batch import in_order
from services.exit_qualification.ticks.joined_topics import JOIN_WAIT_S, MOST_WAITING, JoinedTopics
from shared.kafka.topics import Partition
from tests.unit.exit_qualification.ticks.messages import LAYOUT, NOW_MS, Record, grouped

NOW_S = 100.0
TICKS, TRADES = LAYOUT.topics


class Log:
    """Both topics; records arrive, and polls read some of what is there."""

    def __init__(self) -> None:
        self.arrived: list[Message] = []
        self.starts = {(topic, each): 0 for topic in LAYOUT.topics for each in range(LAYOUT.partitions)}
        self._read = dict(self.starts)
        self.ends: dict[Partition, int] = {}

    def add(self, topic: str, partition: int, later_ms: int) -> None:
        """A record arrives."""
        before = self.arrived[-1].timestamp()[1] if self.arrived else NOW_MS
        offset = len(self.of((topic, partition)))
        record = Record(topic, b"", partition_=partition, offset_=offset, arrived_ms=before + later_ms)
        self.arrived.append(cast(Message, record))

    def of(self, where: Partition) -> list[Message]:
        """The records of a partition."""
        return [each for each in self.arrived if (each.topic(), each.partition()) == where]

    def poll(self, where: Partition, most: int) -> Sequence[Message]:
        """Read some of a partition; its end is told when it is met."""
        at = self._read[where]
        found = self.of(where)[at : at + most]
        self._read[where] = at + len(found)
        if self._read[where] == len(self.of(where)):
            self.ends[where] = self._read[where]
        return found


events = st.tuples(st.sampled_from(LAYOUT.topics), st.integers(0, 1), st.integers(0, 3))
polls = st.lists(st.tuples(st.sampled_from(LAYOUT.topics), st.integers(0, 1), st.integers(0, 5)), max_size=6)


@given(st.lists(st.one_of(events, polls), max_size=60))
def test_records_are_judged_in_the_order_of_their_arrival(
    steps: list[tuple[str, int, int] | list[tuple[str, int, int]]],
) -> None:
    """What arrives after an end was told may come late; a worker behind has it in order."""
    log, judged = Log(), dict[int, list[Message]]()
    for step in steps:
        if isinstance(step, tuple):
            log.add(*step)
    joined = JoinedTopics(LAYOUT, log.starts)
    reading = [step for step in steps if isinstance(step, list)]
    everything = [(topic, each, 100) for topic in LAYOUT.topics for each in range(2)]
    for step in (*reading, *[[each] for each in everything]):
        messages = [each for topic, number, most in step for each in log.poll((topic, number), most)]
        ready = joined.take(grouped(messages), log.ends, NOW_S, NOW_MS)
        for number in range(2):
            ticks, trades = (ready.get((topic, number), ()) for topic in LAYOUT.topics)
            judged.setdefault(number, []).extend(in_order(ticks, trades, NOW_MS))
    for number in range(2):
        ticks, trades = (log.of((topic, number)) for topic in LAYOUT.topics)
        assert judged[number] == list(in_order(ticks, trades, NOW_MS))


def test_an_unread_topic_holds_the_other_for_a_while() -> None:
    log = Log()
    log.add(TICKS, 0, 0)
    joined = JoinedTopics(LAYOUT, log.starts)
    assert joined.until_s == inf
    assert joined.take(grouped(log.arrived), {}, NOW_S, NOW_MS) == {}
    assert joined.until_s == NOW_S + JOIN_WAIT_S
    assert joined.take({}, {}, NOW_S + JOIN_WAIT_S - 0.1, NOW_MS) == {}
    assert joined.take({}, {}, NOW_S + JOIN_WAIT_S, NOW_MS) == {(TICKS, 0): log.arrived}
    assert joined.until_s == inf


def test_a_partition_with_many_waiting_records_rests() -> None:
    log = Log()
    for _ in range(MOST_WAITING):
        log.arrived.append(cast(Message, Record(TICKS, b"", partition_=0, offset_=len(log.arrived))))
    joined = JoinedTopics(LAYOUT, log.starts)
    joined.take(grouped(log.arrived), {}, NOW_S, NOW_MS)
    assert joined.full == {(TICKS, 0)}
    joined.take({}, {(TRADES, 0): 0}, NOW_S, NOW_MS)
    assert joined.full == set()
