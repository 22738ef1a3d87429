"""Splits and bonus issues: prices, quantities, plans and saved states of rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.corporate_actions import CorporateAction, read_corporate_actions
from shared.contracts.vocabulary import Direction
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import start_rules
from shared.exit_rules.rule import Position
from shared.exit_rules.scale import PlanScale, Scale
from shared.money import to_units

TENTH = Scale(1, 10)
PAISA = Decimal("0.01")

WHOLE: dict[str, Any] = {
    "stop_loss": "990",
    "targets": [{"price": "1010", "quantity": 60}, {"price": "1020.3", "quantity": 40}],
    "after_leg": {"1": {"stop": "995"}},
    "trailing_stop": {"step": "8", "distance": "15"},
    "break_even": {"arm": "8", "offset": "1"},
    "bricks": {"size": "4", "confirm": 1, "reversal": 3},
    "max_hold_s": 60,
}


def _scaled(plan: dict[str, Any], scale: PlanScale, entry: str = "100") -> dict[str, Any]:
    after = ExitPlan.model_validate(plan).scaled(scale, Direction.LONG, Decimal(entry))
    return after.model_dump(mode="json", exclude_none=True)


def test_every_price_and_quantity_of_a_plan_follows_a_split() -> None:
    assert _scaled(WHOLE, PlanScale(TENTH, PAISA, filled={1: 20})) == {
        "stop_loss": "99.00",
        # 20 of leg 1 are filled and stay; the other 40 are 400 now
        "targets": [{"price": "101.00", "quantity": 420}, {"price": "102.03", "quantity": 400}],
        "after_leg": {"1": {"stop": "99.50"}},
        "trailing_stop": {"step": "0.80", "distance": "1.50"},
        "break_even": {"arm": "0.80", "offset": "0.10"},
        "bricks": {"size": "0.40", "confirm": 1, "reversal": 3},
        "max_hold_s": 60,
    }


def test_a_percentage_stays() -> None:
    assert _scaled({"trailing_stop": {"percent": "2"}}, PlanScale(TENTH, PAISA)) == {
        "trailing_stop": {"percent": "2.00"}
    }


@pytest.mark.parametrize(("tick", "stop"), [("0.01", "99.03"), ("0.05", "99.05"), ("0.10", "99.00")])
def test_levels_are_rounded_half_up_to_the_tick(tick: str, stop: str) -> None:
    assert _scaled({"stop_loss": "990.25"}, PlanScale(TENTH, Decimal(tick)))["stop_loss"] == stop


def test_a_plan_that_the_tick_size_collapses_is_refused() -> None:
    with pytest.raises(InvalidInput, match="greater than"):
        _scaled({"stop_loss": "0.04"}, PlanScale(TENTH, PAISA))
    with pytest.raises(InvalidInput):
        _scaled({"target": "1000.04", "stop_loss": "1000.01"}, PlanScale(TENTH, PAISA))


@given(st.integers(1, 10**9), st.sampled_from([Scale(1, 10), Scale(2, 3), Scale(3, 1), Scale(5, 7)]))
def test_saved_prices_round_as_prices_do_on_both_sides(units: int, scale: Scale) -> None:
    price = scale.price(Decimal(units).scaleb(-4))
    assert scale.units(units) == to_units(price)
    assert scale.units(-units) == -scale.units(units)
    assert scale.saved({"best": units, "inner_best": -units, "steps": units, "brick_direction": -1}) == {
        "best": scale.units(units),
        "inner_best": -scale.units(units),
        "steps": units,
        "brick_direction": -1,
    }


@given(st.integers(1, 10**6), st.sampled_from([Scale(1, 10), Scale(2, 3), Scale(5, 7)]))
def test_a_fraction_of_a_share_is_not_counted(quantity: int, scale: Scale) -> None:
    after = scale.quantity(quantity)
    assert 0 <= quantity * scale.after - after * scale.before < scale.before


def test_every_saved_name_of_a_price_is_scaled() -> None:
    """A new rule with a price in its state must name it in `SAVED_PRICES`."""
    plan = ExitPlan.model_validate(WHOLE | {"trailing_stop": {"amount": "15"}})
    position = Position(Direction.LONG, 1000_0000, 0)
    for state in start_rules(plan, position).values():
        moved = state.moved(1015_0000, opening=False)
        halved = Scale(1, 2).saved(moved.saved())
        assert all(abs(value) < 1000_0000 for value in halved.values()), (state, halved)


@pytest.mark.parametrize(
    ("kind", "ratio", "scale"),
    [("SPLIT", "1:10", Scale(1, 10)), ("SPLIT", "10:1", Scale(10, 1)), ("BONUS", "1:2", Scale(2, 3))],
)
def test_split_ratio_is_old_to_new_bonus_new_to_held(kind: str, ratio: str, scale: Scale) -> None:
    assert CorporateAction.model_validate({"kind": kind, "symbol": "NSE:INFY", "ratio": ratio}).scale == scale


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind,ratio\n", "the header lacks symbol"),
        ("kind,symbol\n", "no line after the header"),
        ("kind,symbol,ratio\nSPLIT,NSE:INFY,1:10\nSPLIT,NSE:INFY,1:0\n", "line 3: ratio"),
        ("kind,symbol,ratio\nSPLIT,NSE:INFY,\n", "line 2: .*needs `ratio`"),
        ("kind,symbol,ratio,new_symbol\nRENAME,NSE:INFY,,NSE:INFY\n", "line 2: .*another symbol"),
        ("kind,symbol,ratio,new_symbol,effective_at\nBONUS,NSE:INFY,1:1,,tomorrow\n", "line 2: effective_at"),
    ],
)
def test_a_file_with_wrong_lines_is_refused_by_line(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_corporate_actions(text.splitlines(keepends=True))
