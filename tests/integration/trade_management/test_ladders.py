"""A target ladder in trade management: its legs are booked one by one, and the stop moves after them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.trade_management.domain.trade import Trade
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.plan import ExitPlan
from shared.ids import new_traceparent
from tests.integration.trade_management.ledger import Intent, execution, open_trade, rows, stored
from tests.integration.trade_management.test_closing import Record, Told, apply
from tests.integration.trade_management.test_exit_plan_changes import change
from tests.integration.trade_management.test_trade_api import opened, post

LADDER = [{"price": "1010", "percent": "50"}, {"price": "1020", "percent": "25"}, {"price": "1030", "percent": "25"}]
PLAN = {
    "targets": LADDER,
    "stop_loss": "990",
    "after_leg": {"1": {"stop": "break_even"}, "2": {"stop": "1010"}},
}


def _ladder(engine: Engine) -> Trade:
    return open_trade(engine, plan=ExitPlan.model_validate(PLAN))


def _leg(trade: Trade, leg: int, quantity: int) -> Intent:
    return Intent(trade, quantity=quantity, leg=leg)


def _apply(engine: Engine, *events: Told) -> None:
    apply(engine, [Record(event, new_traceparent()).read() for event in events])


def _said(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    found = rows(
        engine,
        "SELECT ce_type, convert_from(payload, 'utf8')::jsonb AS said FROM outbox_event ORDER BY sequence",
    )
    return [(row["ce_type"].split(".")[2], row["said"]) for row in found]


def test_legs_book_their_result_and_each_moves_stop(trade_engine: Engine) -> None:
    trade = _ladder(trade_engine)
    first, second, stop = _leg(trade, 1, 50), _leg(trade, 2, 25), Intent(trade, ExitReason.STOP_LOSS, 25)
    _apply(trade_engine, first.partially_filled(execution(20, "1010")))
    assert stored(trade_engine, trade.trade_id)["plan_version"] == 1
    _apply(trade_engine, first.filled(execution(20, "1010"), execution(30, "1010", nth=2)))
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["open_quantity"], row["plan_version"]) == ("OPEN", 50, 2)
    assert row["exit_plan"]["stop_loss"] == "1000.00"
    _apply(trade_engine, second.filled(execution(25, "1020")), stop.filled(execution(25, "1009")))
    row = stored(trade_engine, trade.trade_id)
    assert (row["status"], row["plan_version"], row["exit_plan"]["stop_loss"]) == ("CLOSED", 3, "1010.00")
    said = _said(trade_engine)
    assert [name for name, _ in said] == [
        "TradeOpened", "TradePartiallyClosed", "TradePartiallyClosed", "TradeExitPlanChanged", "TradePartiallyClosed",
        "TradeExitPlanChanged", "TradeClosed",
    ]  # fmt: skip
    parts = [told for name, told in said if name == "TradePartiallyClosed"]
    assert [(told["leg"], told["exit_reason"], told["gross_pnl"], told["open_quantity"]) for told in parts] == [
        (1, "TARGET", "200.00", 80),
        (1, "TARGET", "300.00", 50),
        (2, "TARGET", "500.00", 25),
    ]
    closed = said[-1][1]
    assert closed["gross_pnl"] == "1225.00"
    assert Decimal(closed["charges"]) == _charges(trade_engine)
    assert Decimal(closed["net_pnl"]) == Decimal("1225.00") - _charges(trade_engine)
    assert closed["exit_reason"] == "STOP_LOSS"


def _charges(engine: Engine) -> Decimal:
    total: Decimal = rows(engine, "SELECT sum(amount) AS total FROM charge_lines")[0]["total"]
    return total


def test_a_later_leg_booked_first_keeps_its_stop(trade_engine: Engine) -> None:
    trade = _ladder(trade_engine)
    _apply(
        trade_engine,
        _leg(trade, 2, 25).filled(execution(25, "1021")),
        _leg(trade, 1, 50).filled(execution(50, "1021")),
    )
    row = stored(trade_engine, trade.trade_id)
    assert (row["plan_version"], row["exit_plan"]["stop_loss"]) == (2, "1010.00")


def test_a_stop_that_an_operator_moved_further_stays(trade_engine: Engine, client: TestClient) -> None:
    trade = _ladder(trade_engine)
    assert change(client, str(trade.trade_id), {"stop_loss": "1005", "allow_immediate": True}).status_code == 200
    _apply(trade_engine, _leg(trade, 1, 50).filled(execution(50, "1010")))
    assert stored(trade_engine, trade.trade_id)["exit_plan"]["stop_loss"] == "1005.00"


def test_percentages_are_quantities_of_the_trade_once_it_is_open(client: TestClient) -> None:
    trade = opened(client, quantity=101, exit_plan=PLAN)
    assert [leg["quantity"] for leg in trade["exit_plan"]["targets"]] == [50, 25, 26]
    assert trade["exit_plan"]["after_leg"] == {"1": {"stop": "break_even"}, "2": {"stop": "1010.00"}}


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"targets": [{"price": "1010", "quantity": 101}]}, "more than the trade's 100"),
        ({"targets": LADDER, "target": "1040"}, "not both"),
        ({"targets": [LADDER[1], LADDER[0]]}, "nearest first"),
    ],
)
def test_a_ladder_that_does_not_fit_is_refused(client: TestClient, plan: dict[str, Any], why: str) -> None:
    answer = post(client, exit_plan=plan)
    assert (answer.status_code, answer.json()["code"]) == (422, "plan_contradiction")
    assert why in answer.text


def test_legs_can_change_until_they_have_fills(trade_engine: Engine, client: TestClient) -> None:
    trade = _ladder(trade_engine)
    _apply(trade_engine, _leg(trade, 1, 50).partially_filled(execution(10, "1010")))
    other = [{"price": "1011", "quantity": 50}, {"price": "1020", "quantity": 50}]
    refused = change(client, str(trade.trade_id), {"targets": other})
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_contradiction")
    assert "leg 1 has fills" in refused.text
    kept = [{"price": "1010", "quantity": 50}, {"price": "1025", "percent": "50"}]
    taken = change(client, str(trade.trade_id), {"targets": kept, "after_leg": {"1": {"stop": "1004"}}})
    assert taken.status_code == 200, taken.text
    assert [leg["quantity"] for leg in taken.json()["exit_plan"]["targets"]] == [50, 50]


def test_the_timeline_names_the_legs(trade_engine: Engine, client: TestClient) -> None:
    trade = _ladder(trade_engine)
    _apply(trade_engine, _leg(trade, 1, 50).filled(execution(50, "1010")))
    items = client.get(f"/trades/{trade.trade_id}/timeline").json()["items"]
    assert [(item["kind"], item.get("leg")) for item in items] == [("OPENED", None), ("FILL", 1), ("CLOSURE", 1)]
