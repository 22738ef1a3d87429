"""Loops of exit-orders: a slower step of a loop."""

from __future__ import annotations

from typing import cast

import pytest

from services.exit_qualification.orders.work_loop import at_most_every, only_if
from shared.clock import Clock


class FakeClock:
    """Monotonic time, set by the test."""

    at = 50.0

    def monotonic(self) -> float:
        return self.at


def test_slower_step_runs_once_per_interval_and_reruns_after_failure() -> None:
    clock, runs = FakeClock(), list[float]()

    def step() -> bool:
        runs.append(clock.at)
        if len(runs) == 2:
            raise ValueError("the database is away")
        return True

    seldom = at_most_every(5.0, step, cast(Clock, clock))
    assert [seldom(), seldom()] == [True, False]
    clock.at = 55.0
    with pytest.raises(ValueError, match="away"):
        seldom()
    assert seldom()
    clock.at = 59.9
    assert not seldom()
    assert runs == [50.0, 55.0, 55.0]


def test_a_conditional_step_runs_while_its_condition_holds() -> None:
    ran: list[bool] = []

    def step() -> bool:
        ran.append(True)
        return True

    assert not only_if(lambda: False, step)()
    assert ran == []
    assert only_if(lambda: True, step)()
    assert ran == [True]
