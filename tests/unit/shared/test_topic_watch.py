"""A watch's reports, from the cluster's answers and the consumer's position; Kafka replaced by a script."""

from __future__ import annotations

import pytest

from shared.kafka import topic_watch
from shared.kafka.topic_watch import STALL_S, Change, Positions, TopicsChanged, TopicWatch
from shared.kafka.topics import Bounds, Partition, TopicState
from shared.runtime.health import Health
from tests.unit.outbox_relay.clock import StandingClock

ONE: Partition = ("ticks", 0)
BEFORE = TopicState("id-1", 1)


class Cluster:
    """Scripted answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: TopicState | None = BEFORE
        self.bounds = Bounds(0, 10)
        monkeypatch.setattr(topic_watch, "describe", lambda *_: {"ticks": self.state})
        self.asked_for_beginnings: list[Partition] = []
        monkeypatch.setattr(topic_watch, "ends_of", lambda _, partitions: dict.fromkeys(partitions, self.bounds.end))
        monkeypatch.setattr(topic_watch, "beginnings_of", self._beginnings)

    def _beginnings(self, _: object, partitions: list[Partition]) -> dict[Partition, int]:
        self.asked_for_beginnings += partitions
        return dict.fromkeys(partitions, self.bounds.beginning)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


@pytest.fixture
def positions(clock: StandingClock) -> Positions:
    found = Positions(clock)
    found.assign({ONE: 10})
    return found


@pytest.fixture
def watch(cluster: Cluster, positions: Positions, clock: StandingClock) -> TopicWatch:
    return TopicWatch(None, {"ticks": BEFORE}, positions, Health("kafka"), clock, 3)  # type: ignore[arg-type]  # scripted


def kinds(watch: TopicWatch) -> list[Change]:
    return [change.kind for change in watch.look()]


def test_nothing_has_changed(watch: TopicWatch) -> None:
    assert kinds(watch) == []
    watch.refuse_changes()


def test_beginnings_are_asked_of_partitions_with_unread_records_alone(watch: TopicWatch, cluster: Cluster) -> None:
    watch.look()
    assert cluster.asked_for_beginnings == []
    cluster.bounds = Bounds(0, 11)
    watch.look()
    assert cluster.asked_for_beginnings == [ONE]


def test_topic_is_missing_after_two_looks_never_one(watch: TopicWatch, cluster: Cluster) -> None:
    cluster.state = None
    assert kinds(watch) == []
    assert kinds(watch) == [Change.MISSING]


def test_briefly_absent_topic_is_not_missing(watch: TopicWatch, cluster: Cluster) -> None:
    for state in (None, BEFORE, None, BEFORE):
        cluster.state = state
        assert kinds(watch) == []


def test_replaced_topic_reports_count_of_known_unread_records(
    watch: TopicWatch, cluster: Cluster, positions: Positions
) -> None:
    cluster.bounds = Bounds(0, 13)
    watch.look()
    cluster.state = TopicState("id-2", 1)
    [change] = watch.look()
    assert (change.kind, change.missed) == (Change.REPLACED, 3)


def test_partitions_that_were_added_are_a_change(watch: TopicWatch, cluster: Cluster) -> None:
    cluster.state = TopicState("id-1", 2)
    assert kinds(watch) == [Change.REPARTITIONED]


def test_records_removed_before_they_were_read_are_counted(watch: TopicWatch, cluster: Cluster) -> None:
    cluster.bounds = Bounds(14, 20)
    [change] = watch.look()
    assert (change.kind, change.missed, change.partition) == (Change.REMOVED, 4, 0)


def test_records_in_hand_count_as_acted_upon_at_next_poll(positions: Positions) -> None:
    positions.delivered({ONE: 15})
    assert (positions.snapshot()[ONE], positions.acted_upon()[ONE]) == (15, 10)
    positions.step_back({ONE: 10})
    positions.polling()
    assert (positions.snapshot()[ONE], positions.acted_upon()[ONE]) == (10, 10)
    positions.delivered({ONE: 15})
    positions.polling()
    assert positions.acted_upon()[ONE] == 15


def test_reading_that_brings_nothing_while_records_wait_has_stalled(
    watch: TopicWatch, cluster: Cluster, positions: Positions, clock: StandingClock
) -> None:
    cluster.bounds = Bounds(0, 11)
    for _ in range(int(STALL_S / 3) + 1):
        positions.polling()
        positions.delivered({})
        assert kinds(watch) == []
        clock.elapsed_s += 3
    positions.polling()
    assert kinds(watch) == [Change.STALLED]


def test_a_loop_that_does_not_poll_has_not_stalled(
    watch: TopicWatch, cluster: Cluster, positions: Positions, clock: StandingClock
) -> None:
    cluster.bounds = Bounds(0, 11)
    positions.polling()
    for _ in range(20):
        assert kinds(watch) == []
        clock.elapsed_s += 3


def test_one_record_after_a_long_silence_is_no_stall(
    watch: TopicWatch, cluster: Cluster, positions: Positions, clock: StandingClock
) -> None:
    for _ in range(10):
        positions.polling()
        positions.delivered({})
        assert kinds(watch) == []
        clock.elapsed_s += 3
    cluster.bounds = Bounds(0, 11)
    positions.polling()
    assert kinds(watch) == []


def test_a_change_ends_the_membership() -> None:
    change = topic_watch.removal(ONE, 3, 5)
    with pytest.raises(TopicsChanged, match="offsets 3 to 4 were removed"):
        raise TopicsChanged([change])
