"""Looks in vain take a bounded share of the time, however long each is."""

from __future__ import annotations

import pytest

from services.exit_qualification.orders.rest import TIMES, Rest
from tests.support.clocks import SteppedClock


class Looks:
    """Looks of some length each."""

    def __init__(self, clock: SteppedClock, look_s: float, found: list[str]) -> None:
        self.clock, self.look_s, self.found, self.count = clock, look_s, found, 0

    def look(self) -> list[str]:
        self.clock.at_s += self.look_s
        self.count += 1
        return self.found


@pytest.mark.parametrize("look_s", [0.001, 0.1, 8.0])
def test_looks_in_vain_take_a_tenth_of_the_time(look_s: float) -> None:
    clock = SteppedClock()
    looks, rest, began_s = Looks(clock, look_s, []), Rest(clock), clock.monotonic()
    for _ in range(1000):
        assert not rest.look(looks.look)
        clock.at_s += look_s / 10
    share = looks.count * look_s / (clock.monotonic() - began_s)
    assert 0.9 / (TIMES + 1) < share <= 1.1 / (TIMES + 1)


def test_after_a_find_the_next_look_comes_at_once() -> None:
    clock = SteppedClock()
    looks, rest = Looks(clock, 1.0, ["an exit"]), Rest(clock)
    assert [rest.look(looks.look) for _ in range(5)] == [["an exit"]] * 5


def test_any_look_can_be_followed_by_a_rest() -> None:
    clock = SteppedClock()
    rest, began_s = Rest(clock), clock.monotonic()
    clock.at_s += 1
    rest.begin(began_s)
    over = []
    for _ in range(TIMES):
        over.append(rest.is_over())
        clock.at_s += 1
    assert over == [False] * TIMES
    assert rest.is_over()
