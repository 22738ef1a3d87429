"""Terms of protective stops in plans: beyond the stop, valid only with one, and kept by every change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from services.exit_qualification.domain.protective_stop import is_met, on_tick
from shared.contracts.vocabulary import Direction
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.scale import PlanScale, Scale
from shared.exit_rules.stop_loss import protective_trigger
from shared.exit_rules.stored_plan import read_stored

ENTRY = Decimal(1000)
LONG, SHORT = Direction.LONG, Direction.SHORT
TERMS: dict[str, Any] = {"stop_loss": "990", "protective_stop": {"kind": "SL-M", "offset": "2.5"}}


@pytest.mark.parametrize(("direction", "stop", "trigger"), [(LONG, "990", "987.5"), (SHORT, "1010", "1012.5")])
def test_the_trigger_is_beyond_the_stop(direction: Direction, stop: str, trigger: str) -> None:
    plan = ExitPlan.model_validate({**TERMS, "stop_loss": stop})
    assert plan.contradictions(direction, ENTRY) == []
    stored = read_stored(plan.model_dump_json(exclude_none=True))
    assert protective_trigger(plan, direction) == protective_trigger(stored, direction) == Decimal(trigger)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"target": "1010", "protective_stop": {"offset": "1"}}, "needs a stop_loss"),
        ({"stop_loss": "1", "protective_stop": {"offset": "1"}}, "not above zero"),
    ],
)
def test_terms_without_a_price_contradict_the_plan(plan: dict[str, Any], why: str) -> None:
    (found,) = ExitPlan.model_validate(plan).contradictions(LONG, ENTRY)
    assert why in found


@pytest.mark.parametrize("terms", [{"kind": "GTT"}, {"offset": "-1"}, {"price": "980"}])
def test_unknown_terms_are_refused(terms: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ExitPlan.model_validate({"stop_loss": "990", "protective_stop": terms})


def test_a_protective_stop_alone_is_no_plan() -> None:
    plan = ExitPlan.model_validate({"protective_stop": {}})
    assert plan.contradictions(LONG, ENTRY)


def test_a_stop_that_is_removed_leaves_no_protective_stop_behind() -> None:
    plan = ExitPlan.model_validate({"target": "1010", **TERMS})
    without = plan.changed(ExitPlan.model_construct(_fields_set={"stop_loss"}, stop_loss=None))
    assert "needs a stop_loss" in without.change_contradictions(plan, LONG, ENTRY)[0]


def test_a_split_scales_the_distance_too() -> None:
    plan = ExitPlan.model_validate(TERMS).scaled(PlanScale(Scale(1, 10), Decimal("0.05")), LONG, Decimal(100))
    assert protective_trigger(plan, LONG) == Decimal("98.75")


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
