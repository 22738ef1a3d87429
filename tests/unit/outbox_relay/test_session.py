"""How a session ends: everything of it, and within its leases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from unittest.mock import Mock

import pytest

from services.outbox_relay.parking.quarantine import Step
from services.outbox_relay.session import GATHER_S, TEND_S, Session
from services.outbox_relay.shard_holder import ShardHolder
from services.outbox_relay.shards.acknowledgements import Run
from services.outbox_relay.shards.progress import Progress
from services.outbox_relay.shards.shard import HeldShard
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.unit.outbox_relay.clock import StandingClock

PACE = Settings(relay_lease_s=8.0)


class Parts:
    """The parts of a session, without servers; nothing is held, nothing happens."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.progress: list[Progress] = []
        self.leases = Mock(held={})
        self.reader, self.progress_store, self.publisher, self.replays, self.metrics = (Mock() for _ in range(5))
        self.signal = Mock(is_armed=False)
        self.layouts = Mock(is_switching=Mock(return_value=False))
        self.quarantine = Mock(record=Mock(return_value=[]))

        self.leases.census.return_value = Mock(paused=frozenset(), fair_share=Mock(return_value=1))
        self.leases.is_renewal_due.return_value = False
        self.publisher.in_flight = 0
        self.publisher.is_gathering = False
        for is_not in (self.reader.is_reading, self.reader.look, self.replays.is_busy, self.quarantine.is_busy):
            is_not.return_value = False

    def run(self, steps: int = 0, stop: Stop | None = None) -> None:
        """A session to be stopped after so many steps; Kafka answers in none of them."""
        stop = stop or Stop()
        if not steps:
            stop.set()
        polls = 0

        def poll(_: float) -> int:
            nonlocal polls
            polls += 1
            if polls == steps:
                stop.set()
            self.polled()
            return 0

        self.publisher.poll.side_effect = poll
        session = Session(
            ShardHolder(self.leases, self.progress_store, self.quarantine, self.replays, self.metrics),
            self.reader,
            self.publisher,
            self.quarantine,
            self.replays,
            self.layouts,
            self.signal,
            self.metrics,
            PACE,
            self.clock,
        )
        session.run(stop, on_tended=lambda: None)

    def polled(self) -> None:
        """Kafka was asked for answers."""
        self.progress = [*self.progress, *(shard.progress for shard in self.leases.held.values())]


class Pauses(Stop):
    """A stop that notes waits for it instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.lengths_s.append(timeout)
        return self.is_set()


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_all_is_thrown_away_though_something_fails_at_it(parts: Parts) -> None:
    for part in (parts.publisher, parts.quarantine, parts.replays):
        part.throw_away.side_effect = RuntimeError("as tested")
    with pytest.raises(RuntimeError):
        parts.run()
    for part in (parts.publisher, parts.quarantine, parts.replays):
        part.throw_away.assert_called_once_with()
    parts.reader.close.assert_called_once_with()


def test_final_waits_take_half_a_lease_at_most(parts: Parts) -> None:
    limits: list[float] = []

    def takes_all_but_half_a_second(limit_s: float) -> None:
        limits.append(limit_s)
        parts.clock.elapsed_s += max(0, limit_s - 0.5)

    parts.quarantine.finish.side_effect = takes_all_but_half_a_second
    parts.replays.finish.side_effect = lambda _, limit_s: takes_all_but_half_a_second(limit_s)
    parts.publisher.drain.side_effect = takes_all_but_half_a_second
    parts.run()
    assert limits == [4.0, 0.5, 0.5]
    assert parts.clock.elapsed_s <= 4.0


@pytest.mark.parametrize("is_resting", [False, True])
def test_shards_that_became_free_are_found_within_seconds(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, is_resting: bool
) -> None:
    looked_at_s: list[float] = []
    census = parts.leases.census.return_value

    def look() -> Mock:
        looked_at_s.append(parts.clock.elapsed_s)
        return census

    def wait(limit_s: float, *_: object) -> bool:
        parts.clock.elapsed_s += limit_s
        return False

    parts.leases.census.side_effect = look
    parts.signal.is_armed = is_resting
    parts.signal.wait.side_effect = wait
    monkeypatch.setattr(parts, "polled", lambda: wait(0.05))  # the longest wait between looks
    parts.run(steps=200)
    assert len(looked_at_s) > 10
    assert max(later - before for before, later in pairwise(looked_at_s)) <= 2.1


@pytest.mark.parametrize("is_quarantined", [False, True])
def test_rows_waiting_for_no_answer_move_progress(parts: Parts, is_quarantined: bool) -> None:
    def settled(reaches: Progress) -> Run:
        return Run(lambda *_: None, reaches, 0)

    def quarantine(shard: HeldShard) -> Step:
        shard.quarantined(settled(shard.unsent[0].reaches))
        return Step.QUARANTINED

    shard = HeldShard(3, 1, within := Progress("10:10:", "20:20:", 5))
    shard.read_out("20:20:")
    parts.leases.held = {3: shard}
    parts.quarantine.concerns.return_value = is_quarantined
    parts.quarantine.step.side_effect = quarantine
    parts.publisher.send.side_effect = lambda batch: settled(batch.reaches)
    parts.run(steps=2)
    assert parts.progress == [within, Progress("20:20:")]


@pytest.mark.parametrize("is_row_waiting", [False, True])
def test_relay_rests_only_without_unsent_rows(parts: Parts, is_row_waiting: bool) -> None:
    shard = HeldShard(3, 1, Progress("10:10:", "20:20:", 5))
    if is_row_waiting:
        shard.read_out("20:20:")
    parts.leases.held = {3: shard}
    parts.quarantine.concerns.return_value = True
    parts.quarantine.step.return_value = Step.BLOCKED
    parts.signal.is_armed = True
    parts.run(steps=2)
    assert parts.signal.wait.called is not is_row_waiting


def test_rows_are_sent_before_the_relay_waits(parts: Parts) -> None:
    shard = HeldShard(3, 1, Progress("10:10:", "20:20:", 5))
    parts.leases.held = {3: shard}
    parts.quarantine.concerns.return_value = False

    def read(_: float) -> int:
        shard.read_out("20:20:")
        return 1

    parts.reader.look.side_effect = [True, False]
    parts.reader.take.side_effect = read
    parts.publisher.send.side_effect = lambda batch: Run(lambda *_: None, batch.reaches, 0)
    parts.run(steps=1)
    parts.publisher.send.assert_called_once()


@pytest.mark.parametrize("is_gathering", [False, True])
def test_answers_make_no_relay_look_while_its_producers_gather(parts: Parts, is_gathering: bool) -> None:
    pauses = Pauses()
    parts.publisher.is_gathering = is_gathering
    parts.run(steps=10, stop=pauses)
    assert parts.reader.look.call_count == 10
    assert pauses.lengths_s == ([GATHER_S] * 10 if is_gathering else [])
    waits_s = [each.args[0] for each in parts.publisher.poll.call_args_list]
    assert all((wait_s == 0) == is_gathering for wait_s in waits_s)


def test_relay_without_room_waits_for_answers_alone(parts: Parts) -> None:
    pauses = Pauses()
    shard = HeldShard(3, 1, Progress("10:10:"))
    shard.read([(3, 7)], "20:20:", 0)
    parts.leases.held = {3: shard}
    parts.quarantine.concerns.return_value = False
    parts.publisher.in_flight, parts.publisher.is_gathering = PACE.relay_batch_size, True
    parts.run(steps=3, stop=pauses)
    assert pauses.lengths_s == []
    assert all(each.args[0] > 0 for each in parts.publisher.poll.call_args_list)


def test_relay_in_the_midst_of_reading_does_not_pause(parts: Parts) -> None:
    pauses = Pauses()
    parts.reader.is_reading.return_value = True
    parts.reader.take.return_value = 0  # the server still sorts
    parts.publisher.is_gathering = True
    parts.run(steps=3, stop=pauses)
    assert pauses.lengths_s == []


def test_woken_relay_looks_first_and_puts_upkeep_off_once(parts: Parts) -> None:
    done: list[str] = []

    def note(what: str) -> Callable[..., Mock]:
        def noted(*_: object) -> Mock:
            done.append(what)
            return Mock(paused=frozenset(), fair_share=Mock(return_value=1))

        return noted

    def wake(*_: object) -> bool:
        done.append("woken")
        parts.clock.elapsed_s += TEND_S
        return True

    parts.leases.census.side_effect = note("upkeep")
    parts.reader.look.side_effect = lambda *_, **__: bool(note("look")()) and False
    parts.signal.is_armed = True
    parts.signal.wait.side_effect = wake
    parts.run(steps=4)
    assert done == ["upkeep", "look", "woken", "look", "woken", "upkeep", "look", "woken", "look", "woken"]


def test_woken_relay_asks_for_the_rows_at_once(parts: Parts) -> None:
    parts.signal.is_armed = True
    parts.signal.wait.side_effect = [True, False, True, False]
    parts.run(steps=4)
    assert [call.kwargs["is_notified"] for call in parts.reader.look.call_args_list] == [False, True, False, True]


@pytest.mark.parametrize(("is_read_out", "looks"), [(True, 1), (False, 5)])
def test_answers_are_waited_for_without_looks_while_commits_are_notified(
    parts: Parts, is_read_out: bool, looks: int
) -> None:
    parts.signal.is_armed = True
    parts.signal.has_come.return_value = False
    parts.reader.is_read_out = is_read_out
    parts.publisher.in_flight = 1
    parts.run(steps=5)
    assert parts.reader.look.call_count == looks
    parts.signal.wait.assert_not_called()


@pytest.mark.parametrize("part", ["quarantine", "replays"])
def test_no_relay_rests_while_a_record_is_tried(parts: Parts, part: str) -> None:
    parts.signal.is_armed = True
    getattr(parts, part).is_busy.return_value = True
    parts.run(steps=3)
    parts.signal.wait.assert_not_called()
