"""The target ladder of a plan: sizes, order, the stop after a leg, and its form on the command line."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.ladder import read_after_legs, read_targets
from shared.exit_rules.plan import ExitPlan, PlanFields
from shared.exit_rules.registry import leg_quantities, start_rules
from shared.exit_rules.rule import Position
from shared.exit_rules.scale import PlanScale, Scale

ENTRY = Decimal(1000)
LADDER = [{"price": "1010", "percent": "50"}, {"price": "1020", "percent": "25"}, {"price": "1030", "percent": "25"}]


def ladder(**fields: Any) -> ExitPlan:
    return ExitPlan.model_validate({"targets": LADDER, "stop_loss": "990"} | fields)


def refused(direction: Direction = Direction.LONG, quantity: int = 100, lot: int = 1, **fields: Any) -> str:
    plan = ladder(**fields).sized(quantity, lot)
    return "; ".join(plan.contradictions(direction, ENTRY) + plan.size_contradictions(quantity, lot))


@given(
    quantity=st.integers(1, 10_000),
    lot=st.sampled_from([1, 25, 50]),
    percents=st.lists(st.decimals("0.01", 100, places=2), min_size=1, max_size=6),
)
def test_sized_legs_are_whole_lots_within_share_and_trade(quantity: int, lot: int, percents: list[Decimal]) -> None:
    legs = [{"price": str(1010 + nth), "percent": str(percent)} for nth, percent in enumerate(percents)]
    plan = ExitPlan.model_validate({"targets": legs}).sized(quantity, lot)
    assert plan.targets is not None
    sizes = [leg.quantity or 0 for leg in plan.targets]
    if sum(percents) == 100:
        assert sum(sizes) == quantity
        sizes, percents = sizes[:-1], percents[:-1]
    for size, percent in zip(sizes, percents, strict=True):
        assert size % lot == 0
        assert size <= quantity * percent / 100 < size + lot
    assert (sum(percents) <= 100) <= (sum(sizes) <= quantity)


def test_all_of_a_trade_in_percent_is_all_of_it() -> None:
    plan = ladder().sized(101)
    assert plan.targets is not None
    assert [leg.quantity for leg in plan.targets] == [50, 25, 26]
    assert leg_quantities(plan, 101) == {
        (ExitReason.TARGET, 1): 50,
        (ExitReason.TARGET, 2): 25,
        (ExitReason.TARGET, 3): 26,
    }
    assert plan.sized(101) == plan


def test_the_last_leg_takes_the_rest_of_percentages_alone() -> None:
    mixed = [{"price": "1010", "percent": "50"}, {"price": "1020", "percent": "50"}, {"price": "1030", "quantity": 1}]
    sizes = [leg.quantity for leg in ladder(targets=mixed).sized(103).targets or ()]
    assert sizes == [51, 51, 1]


def test_shares_are_cut_to_whole_shares_without_a_lot() -> None:
    legs = [{"price": "1010", "percent": "33"}, {"price": "1020", "percent": "33"}]
    assert [leg.quantity for leg in ladder(targets=legs).sized(100).targets or ()] == [33, 33]


def test_a_ladder_has_twenty_legs_at_most() -> None:
    legs = [{"price": str(1010 + nth), "quantity": 1} for nth in range(21)]
    assert len(ladder(targets=legs[:20]).targets or ()) == 20
    with pytest.raises(ValidationError):
        ladder(targets=legs)


def test_faults_of_stops_stand_in_order_of_their_legs() -> None:
    told = refused(after_leg={"5": {"stop": "995"}, "4": {"stop": "995"}})
    assert told.index("after_leg 4") < told.index("after_leg 5")


def test_each_leg_is_a_rule_in_the_direction_of_profit() -> None:
    states = start_rules(ladder(), Position(Direction.LONG, 1000_0000, 0))
    assert [key for key in states if key[0] is ExitReason.TARGET] == [(ExitReason.TARGET, leg) for leg in (1, 2, 3)]
    assert states[ExitReason.TARGET, 2].holds(1020_0000)
    assert not states[ExitReason.TARGET, 2].holds(1019_9999)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"target": "1040"}, "give `target` for the whole trade or `targets`"),
        ({"targets": [LADDER[1], LADDER[0]]}, "leg 2 at 1010.00 is not beyond leg 1 at 1020.00"),
        ({"targets": [LADDER[0], LADDER[0]]}, "leg 2 at 1010.00 is not beyond leg 1"),
        ({"targets": [{"price": "999", "quantity": 1}]}, "targets leg 1 999.00 is not on the profit side"),
        ({"targets": [{"price": "1010", "quantity": 101}]}, "the legs are of 101, more than the trade's 100"),
        ({"targets": [{"price": "1010", "percent": "0.5"}]}, "leg 1, 0.50 % of 100, is less than one lot of 1"),
        ({"after_leg": {"4": {"stop": "break_even"}}}, "after_leg 4: the plan has 3 legs"),
        ({"after_leg": {"1": {"stop": "1010"}}}, "after_leg 1: a stop at 1010.00 would exit at once"),
        ({"stop_loss": "1015"}, "stop_loss 1015.00 is not on the loss side"),
    ],
)
def test_what_a_ladder_cannot_be(fields: dict[str, Any], why: str) -> None:
    assert why in refused(**fields)


def test_a_sound_ladder_is_taken_in_both_directions() -> None:
    assert refused(after_leg={"1": {"stop": "break_even"}, "2": {"stop": "1010"}}) == ""
    short = [{"price": "990", "quantity": 50}, {"price": "980", "quantity": 50}]
    assert refused(Direction.SHORT, targets=short, stop_loss="1010", after_leg={"1": {"stop": "break_even"}}) == ""


def test_a_leg_of_a_part_of_a_lot_is_refused() -> None:
    legs = [{"price": "1010", "quantity": 30}, {"price": "1020", "quantity": 50}]
    assert "leg 1 of 30 is not a multiple of the lot size 25" in refused(targets=legs, lot=25)


@pytest.mark.parametrize(("second", "whole"), [(25, False), (50, False), (70, True), (30, False)])
def test_a_last_leg_is_odd_only_in_an_odd_trade(second: int, *, whole: bool) -> None:
    legs = [{"price": "1010", "quantity": 50}, {"price": "1020", "quantity": second}]
    found = refused(targets=legs, quantity=120, lot=50)
    assert ("leg 2" in found) is (second % 50 != 0 and not whole)


OFFSETS = st.lists(st.integers(1, 40), min_size=2, max_size=6, unique=True).map(sorted)


@given(data=st.data(), direction=st.sampled_from(Direction), offsets=OFFSETS)
def test_a_plan_can_change_after_any_leg(data: st.DataObject, direction: Direction, offsets: list[int]) -> None:
    """Legs fill one after the other, and their stops pass the legs before them."""
    up = direction.sign
    stops = {
        str(leg): {"stop": str(1000 + up * data.draw(st.integers(-9, offset - 1)))}
        for leg, offset in enumerate(offsets, 1)
    }
    legs = [{"price": str(1000 + up * offset), "quantity": 10} for offset in offsets]
    plan = ladder(
        targets=legs, after_leg=stops, stop_loss=str(1000 - up * 10), break_even={"arm": "60", "offset": "30"}
    )
    assert plan.contradictions(direction, ENTRY) == []
    for leg in range(1, len(offsets)):
        plan = plan.after_leg_filled(leg, direction, ENTRY)
        after = plan.changed(PlanFields(max_hold_s=60))
        assert after.change_contradictions(plan, direction, ENTRY) == []
        scale = PlanScale(Scale(1, 2), Decimal("0.05"))
        assert plan.scaled(scale, direction, ENTRY / 2).stop_loss is not None


@pytest.mark.parametrize("leg", [{"price": "1010"}, {"price": "1010", "quantity": 5, "percent": "5"}, {"quantity": 5}])
def test_a_leg_has_a_price_and_one_size(leg: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ladder(targets=[leg])


@pytest.mark.parametrize(
    ("direction", "stop", "after", "expected"),
    [
        (Direction.LONG, "990", "break_even", "1000"),
        (Direction.LONG, None, "break_even", "1000"),
        (Direction.LONG, "990", "1005", "1005"),
        (Direction.LONG, "1007", "break_even", "1007"),
        (Direction.SHORT, "1010", "break_even", "1000"),
        (Direction.SHORT, "995", "break_even", "995"),
    ],
)
def test_stop_moves_after_leg_and_never_away_from_profit(
    direction: Direction, stop: str | None, after: str, expected: str
) -> None:
    plan = ladder(stop_loss=stop, after_leg={"1": {"stop": after}})
    moved = plan.after_leg_filled(1, direction, ENTRY)
    assert moved.stop_loss == Decimal(expected)
    assert plan.after_leg_filled(2, direction, ENTRY) == plan
    assert moved.after_leg_filled(1, direction, ENTRY) == moved


def test_a_leg_with_fills_stays_as_it_is() -> None:
    before = ladder().sized(100)
    other = before.changed(PlanFields.model_validate({"targets": [LADDER[0], {"price": "1040", "percent": "50"}]}))
    assert other.sized(100).filled_leg_contradictions(before, {1: 50}) == []
    assert other.sized(100).filled_leg_contradictions(before, {1: 50, 2: 1}) == [
        "targets: leg 2 has fills and cannot change"
    ]
    assert before.changed(PlanFields(targets=None)).filled_leg_contradictions(before, {1: 50}) != []


@pytest.mark.parametrize(("filled", "is_refused"), [({}, False), ({1: 49}, False), ({1: 50}, True), ({2: 25}, False)])
def test_a_filled_leg_takes_no_new_effect(filled: dict[int, int], *, is_refused: bool) -> None:
    """Its stop would never move; an effect it has, or none, is fine."""
    before = ladder().sized(100)
    after = before.changed(PlanFields.model_validate({"after_leg": {"1": {"stop": "break_even"}}}))
    assert bool(after.filled_leg_contradictions(before, filled)) is is_refused
    assert after.filled_leg_contradictions(after, filled) == []
    assert before.filled_leg_contradictions(after, filled) == []


def test_every_price_of_a_ladder_must_be_on_the_tick() -> None:
    plan = ladder(targets=[{"price": "1010.02", "quantity": 1}], after_leg={"1": {"stop": "1000.01"}})
    assert [text.split(" is")[0] for text in plan.off_tick(Decimal("0.05"))] == [
        "targets leg 1 1010.02",
        "after_leg 1 1000.01",
    ]


def test_a_ladder_on_the_command_line() -> None:
    assert read_targets("1010:50, 1020:25%") == [
        {"price": "1010", "quantity": 50},
        {"price": "1020", "percent": "25"},
    ]
    assert read_after_legs("1:break_even,2:1010") == {"1": {"stop": "break_even"}, "2": {"stop": "1010"}}


@pytest.mark.parametrize("text", ["", "1010", "1010:", ":50", "1010:x", "1010:5;1020:5", "1010:-5"])
def test_a_ladder_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"1010:|whole number"):
        read_targets(text)


@pytest.mark.parametrize("text", ["", "1", "x:break_even", "1:"])
def test_a_change_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="1:break_even"):
        read_after_legs(text)
