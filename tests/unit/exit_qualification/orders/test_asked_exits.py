"""Requests of trade management as kept by exit-orders."""

from __future__ import annotations

from services.exit_qualification.orders import asked_exits
from services.exit_qualification.orders.asked_exits import MOST, VALID_S, AskedExits
from shared.ids import new_id
from tests.support.clocks import SteppedClock


def test_a_request_lapses_unless_it_is_repeated() -> None:
    clock = SteppedClock()
    asked, once, repeated = AskedExits(clock), new_id(), new_id()
    asked.note([once, repeated])
    clock.at_s += VALID_S / 2
    asked.note([repeated])
    clock.at_s += VALID_S / 2
    assert asked.now() == [repeated]
    clock.at_s += VALID_S / 2
    assert asked.now() == []


def test_the_oldest_requests_give_way_to_newer_ones() -> None:
    asked = AskedExits(SteppedClock())
    first, more = new_id(), [new_id() for _ in range(MOST)]
    asked.note([first])
    asked.note(more)
    assert asked.now() == more


def test_a_request_again_makes_it_the_newest() -> None:
    asked = AskedExits(SteppedClock())
    first, second = new_id(), new_id()
    asked.note([first, second])
    asked.note([first])
    assert asked.now() == [second, first]


def test_without_trade_management_every_exit_may_be_sent() -> None:
    assert asked_exits.need_not_ask() is None
