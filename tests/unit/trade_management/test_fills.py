"""Fills of a report: the unknown ones, once each, in order of time, as far as the trade is open."""

from __future__ import annotations

from msgspec.structs import replace

from services.trade_management.domain.fills import new_fills, taken
from tests.unit.trade_management.examples import fill


def test_new_fills_stand_in_order_of_time_then_id() -> None:
    late = fill(days=1)
    first, second = (fill(broker_trade_id=broker_trade_id) for broker_trade_id in ("1", "2"))
    assert new_fills([late, second, first], set()) == [first, second, late]


def test_known_and_repeated_fills_are_not_new() -> None:
    known, fresh = fill(40), fill(60)
    assert new_fills([fresh, known, fresh], {known.fill_id}) == [fresh]
    assert new_fills([known], {known.fill_id}) == []


def test_fills_are_taken_up_to_the_open_quantity() -> None:
    first, second, third = fill(40), fill(60), fill(1)
    assert taken([first, second, third], 100) == [first, second]
    assert taken([first, second, third], 99) == [first, replace(second, quantity=59)]
    assert taken([first], 0) == []
