"""A worker without ticks waits until there is work, and asks the database about each fired rule once an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import cast
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.assignment import Assignment
from services.exit_qualification.ticks.checkpoint_parts import CheckpointParts
from services.exit_qualification.ticks.joined_topics import JoinedTopics
from services.exit_qualification.ticks.limits_feed import LimitsFeed, NewLimits
from services.exit_qualification.ticks.pipeline import TickPipeline, Written
from services.exit_qualification.ticks.progress import Progress
from services.exit_qualification.ticks.rearm_schedule import MOST_PER_TURN, TURNS, RearmSchedule
from services.exit_qualification.ticks.session import (
    OTHERS_WAITING_S,
    RULES_AT_START,
    TICKS,
    TickContext,
    TickSession,
)
from shared.contracts.vocabulary import ExitReason
from shared.instants import epoch_ms
from shared.kafka.consuming import WatchedConsumer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings
from tests.support.clocks import SteppedClock
from tests.unit.exit_qualification.examples import NOON, open_trade
from tests.unit.exit_qualification.ticks.messages import HOME, INFY, LAYOUT, evaluator

POLL_S = Settings().tick_poll_ms / 1000
REARM_S = Settings().rearm_poll_ms / 1000
CLAIMED = {HOME: Checkpoint(1, 0, 0)}


class MarketClock(SteppedClock):
    """A clock with instants moving with its monotonic time."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at_s)


class Idle:
    """A session with a consumer without records; its waits pass at once."""

    def __init__(self, engine: ExitSignalService) -> None:
        self.clock = MarketClock()
        self.pipeline = Mock(TickPipeline, has_queued=False, has_waiting=False)
        self.pipeline.due.side_effect = lambda engine, now_ms, _: (engine.on_clock(now_ms), set())
        self.pipeline.write_waiting.return_value = []
        self.pipeline.write.return_value = Written([])
        self.waits: list[float] = []
        consumer = Mock(WatchedConsumer, consumer=Mock(), ends={})
        consumer.take_by_partition.side_effect = self._wait
        self.assignment = Mock(Assignment, is_waiting=False, is_settled=True, engine=engine)
        self.assignment.limits = Mock(LimitsFeed)
        self.assignment.limits.follow.return_value = NewLimits([], [])
        self.assignment.evaluator = evaluator(engine)
        self.assignment.joined = JoinedTopics(LAYOUT, {})
        self.assignment.progress = Progress(engine, CLAIMED, LAYOUT.partitions)
        self.assignment.checkpoints = CheckpointParts(self.assignment.progress)
        context = Mock(TickContext, settings=Settings(), clock=self.clock, health=Health(), pipeline=self.pipeline)
        self.health, self.stop = context.health, Stop()
        self._session = TickSession(context, consumer, LAYOUT, cast(Assignment, self.assignment), Mock(), self.stop)

    def _wait(self, _: int, wait_s: float) -> dict[object, object]:
        self.waits.append(wait_s)
        self.clock.at_s += wait_s
        return {}

    def load(self, *reports: int) -> None:
        """Take up partitions with a load of so many reported trades."""

        def take_up(report: Callable[[int], None]) -> None:
            for trades in reports:
                report(trades)

        self.assignment.is_waiting = True
        self.assignment.take_up.side_effect = take_up
        self._session.step()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until_s = self.clock.at_s + seconds
        while self.clock.at_s < until_s:
            self._session.step()


def rules_asked(idle: Idle) -> list[int]:
    """How many rules each query was about."""
    return [call.args[2] for call in idle.pipeline.due.call_args_list]


def test_an_idle_worker_looks_seldom() -> None:
    idle = Idle(ExitSignalService())
    idle.run(60)
    assert len(idle.waits) <= 60 / POLL_S + 2
    assert rules_asked(idle) == []
    assert idle.pipeline.write_waiting.call_count <= 60 / OTHERS_WAITING_S + 1
    assert idle.pipeline.write.call_count == 0


def test_waiting_work_is_tried_in_each_interval() -> None:
    idle = Idle(ExitSignalService())
    idle.pipeline.has_waiting = True
    idle.run(60)
    assert idle.pipeline.write_waiting.call_count == pytest.approx(60 / REARM_S, abs=2)


def test_a_deadline_ends_the_wait() -> None:
    engine = ExitSignalService()
    idle = Idle(engine)
    entered_ms = epoch_ms(idle.clock.now()) + 100
    engine.add_trade(open_trade(entered_at_ms=entered_ms, max_hold_s=3))
    idle.run(10)
    [written] = [call.args[0].detected for call in idle.pipeline.write.call_args_list]
    [candidate] = written[0].candidates
    assert candidate.detected_at_us // 1000 == pytest.approx(entered_ms + 3000, abs=2)


def test_offsets_that_are_not_stored_end_the_wait() -> None:
    idle = Idle(ExitSignalService())
    idle.run(5)
    idle.assignment.progress.reached[HOME] = Checkpoint(1, 7, 0)
    idle.run(1.1)
    assert any(HOME in call.args[1].offsets for call in idle.pipeline.write.call_args_list)


@pytest.mark.parametrize("fired", [1, MOST_PER_TURN, 3 * MOST_PER_TURN])
def test_each_fired_rule_is_asked_about_once_an_interval(fired: int) -> None:
    engine = ExitSignalService()
    for number in range(1, fired + 1):
        engine.add_trade(open_trade(number, stop_loss=None))
        engine.disarm(open_trade(number).trade_id, ExitReason.TARGET)
    idle = Idle(engine)
    idle.run(REARM_S * 10 - POLL_S)
    asked = rules_asked(idle)
    assert sum(asked) == pytest.approx(10 * fired, abs=fired)
    assert len(asked) == pytest.approx(10 * min(fired, TURNS), abs=TURNS)
    assert max(asked) == -(-fired // TURNS)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5 * MOST_PER_TURN)), max_size=60))
def test_a_schedule_asks_about_no_more_than_there_is(steps: Iterable[tuple[float, int]]) -> None:
    schedule, now_s, round_of = RearmSchedule(0.5), 0.0, 0
    for passed_s, disarmed in steps:
        now_s += passed_s
        taken = schedule.take(now_s, disarmed)
        assert 0 <= taken <= MOST_PER_TURN
        assert schedule.next_s >= now_s
        round_of = max(round_of, disarmed)
        assert taken <= round_of


def test_symbols_with_new_limits_are_written_at_once() -> None:
    """After a restart, ticks of before a change of limits are not judged again."""
    engine = ExitSignalService()
    engine.on_tick(INFY, 1000_0000, 1, 1)
    idle = Idle(engine)
    idle.assignment.limits.follow.side_effect = [NewLimits([INFY], []), *([NewLimits([], [])] * 100)]
    idle.run(POLL_S / 2)
    [written] = [call.args[1] for call in idle.pipeline.write.call_args_list]
    assert [each.symbol for each in written.symbols] == [INFY]


def test_limits_wait_for_partitions() -> None:
    idle = Idle(ExitSignalService())
    idle.assignment.is_settled = False
    idle.run(1)
    assert idle.assignment.limits.follow.call_count == 0


def test_a_load_shows_how_far_it_has_come() -> None:
    idle = Idle(ExitSignalService())
    shown: list[str] = []
    idle.pipeline.begin.side_effect = lambda: shown.append(idle.health.problems()[TICKS])
    idle.load(10_000, 1_230_000)
    assert shown == ["loading: 1,230,000 open trades so far"]
    assert idle.health.is_ready()


def test_a_load_ends_when_the_process_is_to_stop() -> None:
    idle = Idle(ExitSignalService())
    idle.stop.set()
    idle.load(10_000)
    assert idle.pipeline.begin.call_count == idle.assignment.reload.call_count == 0


@pytest.mark.parametrize("fired", [0, 1, RULES_AT_START, 2 * RULES_AT_START + 1])
def test_after_a_load_each_fired_rule_is_asked_about_once(fired: int) -> None:
    engine = ExitSignalService()
    for number in range(1, fired + 1):
        engine.add_trade(open_trade(number, stop_loss=None))
        engine.disarm(open_trade(number).trade_id, ExitReason.TARGET)
    idle = Idle(engine)
    idle.load()
    asked = rules_asked(idle)
    assert sum(asked[: max(1, -(-fired // RULES_AT_START))]) == fired
    assert max(asked) <= RULES_AT_START
