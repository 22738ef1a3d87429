"""Terms of protective stops in plans: their triggers, contradictions, and changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from services.exit_qualification.domain.protective_stop import is_met, on_tick, planned_trigger
from shared.contracts.vocabulary import Direction
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.protective_stop import ProtectiveStopTerms, fixed_trigger, followed_trigger
from shared.exit_rules.scale import PlanScale, Scale
from shared.exit_rules.stored_plan import read_stored

ENTRY = Decimal(1000)
LONG, SHORT = Direction.LONG, Direction.SHORT
TERMS: dict[str, Any] = {"stop_loss": "990", "protective_stop": {"kind": "SL-M", "offset": "2.5"}}


@pytest.mark.parametrize(("direction", "stop", "trigger"), [(LONG, "990", "987.5"), (SHORT, "1010", "1012.5")])
def test_the_trigger_is_beyond_the_stop(direction: Direction, stop: str, trigger: str) -> None:
    plan = ExitPlan.model_validate({**TERMS, "stop_loss": stop})
    assert plan.contradictions(direction, ENTRY) == []
    stored = read_stored(plan.model_dump_json(exclude_none=True))
    assert fixed_trigger(plan, direction) == fixed_trigger(stored, direction) == Decimal(trigger)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"target": "1010", "protective_stop": {"offset": "1"}}, "needs a stop_loss"),
        ({"stop_loss": "1", "protective_stop": {"offset": "1"}}, "not above zero"),
        ({"stop_loss": "990", "protective_stop": {"trail_step": "1"}}, "needs a trailing_stop"),
        ({"stop_loss": "990", "protective_stop": {"price": "991"}}, "nearer to the market than stop_loss"),
        ({"target": "1010", "protective_stop": {"price": "1001"}}, "not on the loss side"),
    ],
)
def test_terms_without_a_price_contradict_the_plan(plan: dict[str, Any], why: str) -> None:
    (found,) = ExitPlan.model_validate(plan).contradictions(LONG, ENTRY)
    assert why in found


@pytest.mark.parametrize("kind", ["GTT", "gtt_oco", "SL", None, 1])
def test_another_kind_of_order_is_refused_with_what_to_do(kind: Any) -> None:
    with pytest.raises(ValidationError, match="leave `kind` out: the broker holds an SL-M order"):
        ProtectiveStopTerms.model_validate({"kind": kind})


@pytest.mark.parametrize(
    "terms", [{"kind": "GTT"}, {"offset": "-1"}, {"price": "0"}, {"price": "980", "offset": "1"}, {"trail_step": "0"}]
)
def test_unknown_terms_are_refused(terms: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ExitPlan.model_validate({"stop_loss": "990", "protective_stop": terms})


@pytest.mark.parametrize(("direction", "price"), [(LONG, "985"), (SHORT, "1015")])
def test_a_price_is_the_trigger_with_or_without_a_stop(direction: Direction, price: str) -> None:
    stop, target = ("990", "1010") if direction is LONG else ("1010", "990")
    for beside in ({"stop_loss": stop}, {"target": target}):
        plan = ExitPlan.model_validate({**beside, "protective_stop": {"price": price}})
        assert plan.contradictions(direction, ENTRY) == []
        stored = read_stored(plan.model_dump_json(exclude_none=True))
        assert planned_trigger(stored, direction, None, None) == Decimal(price)
        assert ExitPlan.model_validate(plan.model_dump(mode="json", exclude_none=True)) == plan


def test_a_price_must_be_one_at_which_the_market_trades() -> None:
    plan = ExitPlan.model_validate({"target": "1010", "protective_stop": {"price": "985.01"}})
    assert "protective_stop.price 985.01 is not a multiple" in plan.off_tick(Decimal("0.05"))[0]


@pytest.mark.parametrize(
    ("direction", "trail", "step", "trigger"),
    [
        (LONG, "1003.00", "1", "1001"),
        (LONG, "1002.99", "1", "1000"),
        (LONG, "1004.70", "1.1", "1002.1"),
        (SHORT, "995.30", "1", "998"),
    ],
)
def test_trigger_follows_trailing_stop_in_step_multiples(
    direction: Direction, trail: str, step: str, trigger: str
) -> None:
    plan = ExitPlan.model_validate(
        {"trailing_stop": {"amount": "5"}, "protective_stop": {"offset": "2", "trail_step": step}}
    )
    assert plan.contradictions(direction, ENTRY) == []
    assert followed_trigger(plan, direction, Decimal(trail)) == Decimal(trigger)


@pytest.mark.parametrize(("followed", "trigger"), [(None, "980"), ("975", "980"), ("1003", "1003")])
def test_the_trigger_is_the_nearer_of_both(followed: str | None, trigger: str) -> None:
    terms = {"trailing_stop": {"amount": "5"}, "protective_stop": {"price": "980", "trail_step": "1"}}
    plan = ExitPlan.model_validate(terms)
    given = None if followed is None else Decimal(followed)
    assert planned_trigger(plan, LONG, Decimal("0.05"), given) == Decimal(trigger)
    fixed = ExitPlan.model_validate({**terms, "protective_stop": {"price": "980"}})
    assert planned_trigger(fixed, LONG, Decimal("0.05"), given) == Decimal(980)


def test_a_protective_stop_alone_is_no_plan() -> None:
    plan = ExitPlan.model_validate({"protective_stop": {}})
    assert plan.contradictions(LONG, ENTRY)


def test_a_stop_that_is_removed_leaves_no_protective_stop_behind() -> None:
    plan = ExitPlan.model_validate({"target": "1010", **TERMS})
    without = plan.changed(ExitPlan.model_construct(_fields_set={"stop_loss"}, stop_loss=None))
    assert "needs a stop_loss" in without.change_contradictions(plan, LONG, ENTRY)[0]


def test_a_split_scales_the_distance_too() -> None:
    plan = ExitPlan.model_validate(TERMS).scaled(PlanScale(Scale(1, 10), Decimal("0.05")), LONG, Decimal(100))
    assert fixed_trigger(plan, LONG) == Decimal("98.75")


def test_split_scales_price_and_step_and_refuses_zero_step() -> None:
    terms = {"price": "985", "trail_step": "0.5"}
    plan = ExitPlan.model_validate({"trailing_stop": {"amount": "5"}, "protective_stop": terms})
    after = plan.scaled(PlanScale(Scale(1, 10), Decimal("0.05")), LONG, Decimal(100)).protective_stop
    assert after is not None and (after.price, after.trail_step) == (Decimal("98.5"), Decimal("0.05"))
    with pytest.raises(InvalidInput):
        plan.scaled(PlanScale(Scale(1, 100_000), Decimal("0.0001")), LONG, Decimal("0.01"))


@pytest.mark.parametrize(("direction", "rounded"), [(LONG, "987.50"), (SHORT, "987.55")])
def test_a_trigger_is_rounded_away_from_the_market(direction: Direction, rounded: str) -> None:
    assert on_tick(Decimal("987.52"), direction, Decimal("0.05")) == Decimal(rounded)
    assert on_tick(Decimal("987.52"), direction, None) == Decimal("987.52")


@pytest.mark.parametrize(
    ("direction", "last", "met"), [(LONG, 988, False), (LONG, 987, True), (SHORT, 986, False), (SHORT, 987, True)]
)
def test_a_trigger_that_the_market_has_reached_is_met(direction: Direction, last: int, met: bool) -> None:
    assert is_met(Decimal(987), direction, Decimal(last)) is met
    assert not is_met(Decimal(987), direction, None)
