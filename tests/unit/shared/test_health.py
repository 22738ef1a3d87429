"""Conditions and their deadlines."""

from __future__ import annotations

import pytest

from shared.runtime.health import Health
from tests.unit.outbox_relay.clock import StandingClock


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def health(clock: StandingClock) -> Health:
    return Health("database", "loop", deadline_s=12, clock=clock)


def test_a_condition_starts_as_a_problem(health: Health) -> None:
    assert health.problems() == {"database": "starting", "loop": "starting"}


def test_a_process_is_ready_while_every_condition_is_fine(health: Health) -> None:
    health.fine("database")
    assert not health.is_ready()
    health.fine("loop")
    assert health.is_ready()
    health.problem("loop", "the broker refuses")
    assert health.problems() == {"loop": "the broker refuses"}


def test_condition_not_reported_again_in_time_is_problem(health: Health, clock: StandingClock) -> None:
    health.fine("database")
    health.fine("loop")
    clock.elapsed_s += 12
    assert health.is_ready()
    health.fine("database")
    clock.elapsed_s += 0.5
    assert health.problems() == {"loop": "no progress for 12 s"}
    health.fine("loop")
    assert health.is_ready()


def test_problem_not_reported_again_stays_and_says_so(health: Health, clock: StandingClock) -> None:
    health.fine("database")
    health.problem("loop", "the broker refuses")
    clock.elapsed_s += 20
    health.fine("database")
    assert health.problems() == {"loop": "the broker refuses; no progress for 20 s"}


def test_a_long_step_says_that_it_goes_on(health: Health, clock: StandingClock) -> None:
    for condition in ("database", "loop"):
        health.fine(condition)
        clock.elapsed_s += 11
        health.alive(condition)
    health.alive("database", within_s=60)
    for _ in range(5):
        clock.elapsed_s += 10
        health.alive("loop")
    assert health.is_ready()
    clock.elapsed_s += 11
    assert health.problems() == {"database": "no progress for 61 s"}


def test_being_alive_hides_no_problem(health: Health) -> None:
    health.fine("database")
    health.problem("loop", "the broker refuses")
    health.alive("loop")
    assert health.problems() == {"loop": "the broker refuses"}


def test_conditions_may_have_deadlines_that_differ_and_may_end(health: Health, clock: StandingClock) -> None:
    health.add("slow", deadline_s=100)
    for condition in ("database", "loop", "slow"):
        health.fine(condition)
    clock.elapsed_s += 50
    assert sorted(health.problems()) == ["database", "loop"]
    clock.elapsed_s += 51
    assert sorted(health.problems()) == ["database", "loop", "slow"]
    for condition in ("database", "loop", "slow"):
        health.remove(condition)
    assert health.is_ready()
