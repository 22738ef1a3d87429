"""Openings allowed, and fills impossible for a trade."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.trade_management.domain.fill_report import FillReport, contradiction
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.trade import (
    MOST_VALUE,
    PlanContradiction,
    ShortDelivery,
    Trade,
    WouldExitNow,
    check_change,
    check_distance,
    check_opening,
)
from shared.contracts.vocabulary import Direction, ProductType
from shared.errors import InvalidInput
from shared.exit_rules.plan import ExitPlan, PlanFields
from shared.ids import new_id
from tests.unit.trade_management.examples import ENTERED_AT, fill, trade

LONG, SHORT = Direction.LONG, Direction.SHORT


def _plan(target: str | None = None, stop_loss: str | None = None) -> ExitPlan:
    return ExitPlan(target=target and Decimal(target), stop_loss=stop_loss and Decimal(stop_loss))


@pytest.mark.parametrize(
    ("direction", "plan"),
    [
        (LONG, _plan("1010", "990")),
        (LONG, _plan(target="1000.05")),
        (SHORT, _plan("990", "1010")),
        (SHORT, _plan(stop_loss="1000.05")),
    ],
)
def test_a_plan_that_fits_its_direction_is_taken(direction: Direction, plan: ExitPlan) -> None:
    check_opening(trade(direction), plan, ENTERED_AT)


@pytest.mark.parametrize(
    ("direction", "plan"),
    [
        (LONG, _plan(target="990")),
        (LONG, _plan(target="1000")),
        (LONG, _plan("1010", "1000")),
        (SHORT, _plan(target="1010")),
        (SHORT, _plan(stop_loss="990")),
    ],
)
def test_a_plan_that_contradicts_its_direction_is_refused(direction: Direction, plan: ExitPlan) -> None:
    with pytest.raises(PlanContradiction) as refused:
        check_opening(trade(direction), plan, ENTERED_AT)
    assert len(refused.value.details["contradictions"]) == 1


def test_short_delivery_is_refused() -> None:
    with pytest.raises(ShortDelivery):
        check_opening(trade(SHORT, ProductType.CNC), _plan("990"), ENTERED_AT)


def test_an_entry_in_the_future_is_refused() -> None:
    with pytest.raises(InvalidInput, match="future"):
        check_opening(trade(), _plan("1010"), ENTERED_AT - timedelta(hours=1))


def test_a_trade_worth_more_than_can_be_kept_is_refused() -> None:
    with pytest.raises(InvalidInput, match="below"):
        check_opening(trade(quantity=10**12, entry="1000"), _plan("1010"), ENTERED_AT)


def _report(opened: Trade, *fills: Fill) -> FillReport:
    return FillReport(
        new_id(), opened.trade_id, new_id(), opened.symbol, opened.direction, opened.user_broker_id, fills
    )


def test_fills_up_to_the_trade_quantity_are_consistent() -> None:
    opened = trade()
    assert contradiction(_report(opened, fill(40), fill(60)), opened) is None


@pytest.mark.parametrize(
    "other",
    [{"symbol": "NSE:TCS"}, {"direction": SHORT}, {"user_broker_id": "zerodha"}],
    ids=lambda other: next(iter(other)),
)
def test_fills_of_something_else_contradict_the_trade(other: dict[str, Any]) -> None:
    opened = trade()
    assert contradiction(replace(_report(opened, fill()), **other), opened) is not None


def test_one_intent_cannot_fill_more_than_the_trade_has() -> None:
    opened = trade()
    reason = contradiction(_report(opened, fill(60), fill(41)), opened)
    assert reason == "the intent filled 101, more than the trade's quantity of 100"


def test_any_fill_at_the_value_limit_contradicts_the_trade() -> None:
    opened, most = trade(), MOST_VALUE / 50
    told = contradiction(_report(opened, fill(50), fill(50, most)), opened)
    assert told == f"a fill is worth {MOST_VALUE} or more"
    assert contradiction(_report(opened, fill(50), fill(50, most - Decimal("0.01"))), opened) is None


def test_fills_of_a_renamed_symbol_are_consistent_with_its_trade() -> None:
    opened = trade()
    report = replace(_report(opened, fill()), symbol="NSE:OLD")
    assert contradiction(report, opened, {"NSE:OLD"}) is None
    assert contradiction(report, opened, {"NSE:OLDER"}) is not None


@pytest.mark.parametrize(
    ("direction", "plan", "price", "met"),
    [
        (LONG, _plan("1010", "990"), "1010", ["TARGET at 1010.00"]),
        (LONG, _plan("1010", "990"), "989.95", ["STOP_LOSS at 990.00"]),
        (SHORT, _plan("990", "1010"), "1010", ["STOP_LOSS at 1010.00"]),
        (LONG, _plan("1010", "990"), "1009.95", []),
    ],
)
def test_a_plan_that_the_last_price_meets_is_refused(
    direction: Direction, plan: ExitPlan, price: str, met: list[str]
) -> None:
    opened = trade(direction)
    if not met:
        check_distance(opened, plan, Decimal(price))
        return
    with pytest.raises(WouldExitNow) as refused:
        check_distance(opened, plan, Decimal(price))
    assert refused.value.details["met"] == met


def test_a_rule_that_stays_as_it_is_was_judged_already() -> None:
    check_distance(trade(), _plan("1030", "990"), Decimal(980), before=_plan("1010", "990"))
    with pytest.raises(WouldExitNow):
        check_distance(trade(), _plan("1030", "985"), Decimal(980), before=_plan("1010", "990"))


def test_a_later_lot_size_holds_back_no_other_change() -> None:
    legs = [{"price": "1010", "quantity": 30}, {"price": "1020", "quantity": 70}]
    before = ExitPlan.model_validate({"targets": legs, "stop_loss": "990"})
    check_change(trade(), before, before.changed(PlanFields(stop_loss=Decimal(995))), lot=50)
    other = before.changed(PlanFields.model_validate({"targets": [{"price": "1010", "quantity": 20}]}))
    with pytest.raises(PlanContradiction, match="leg 1 of 20"):
        check_change(trade(), before, other, lot=50)
