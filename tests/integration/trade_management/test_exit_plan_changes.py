"""PATCH /trades/{id}/exit-plan on a real PostgreSQL: version, event, audit row, and the refused changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Engine

from services.trade_management.api.market_questions import MarketQuestions
from services.trade_management.domain.trade import Market
from shared.ids import new_id
from tests.integration.trade_management.conftest import READER
from tests.integration.trade_management.ledger import Intent, execution, open_trade, rows
from tests.integration.trade_management.test_closing import apply, report
from tests.integration.trade_management.test_trade_api import opened, post

BRICKS = {"size": "4", "confirm": 1}


def change(client: TestClient, trade_id: str, body: dict[str, Any], if_match: str | None = '"1"') -> Response:
    headers = {} if if_match is None else {"If-Match": if_match}
    answer: Response = client.patch(f"/trades/{trade_id}/exit-plan", json=body, headers=headers)
    return answer


def told(engine: Engine) -> list[dict[str, Any]]:
    found = rows(
        engine,
        """SELECT convert_from(payload, 'utf8')::jsonb AS said FROM outbox_event
            WHERE ce_type = 'io.exitflow.TradeExitPlanChanged.v1'""",
    )
    return [row["said"] for row in found]


def test_given_rule_is_replaced_and_null_removes_it(client: TestClient, trade_engine: Engine) -> None:
    trade = opened(client, exit_plan={"target": "1010", "stop_loss": "990", "max_hold_s": 60})
    answer = change(client, trade["trade_id"], {"stop_loss": "995.5", "max_hold_s": None, "reason_note": "calm day"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"'), answer.text
    assert answer.json()["exit_plan"] == {"target": "1010.00", "stop_loss": "995.50"}
    read = client.get(f"/trades/{trade['trade_id']}")
    assert (read.json(), read.headers["ETag"]) == (answer.json(), '"2"')
    [event] = told(trade_engine)
    assert (event["trade_id"], event["plan_version"]) == (trade["trade_id"], 2)
    assert (event["exit_plan"]["stop_loss"], event["exit_plan"]["max_hold_s"]) == ("995.50", None)
    [entry] = rows(trade_engine, "SELECT actor, action, subject, before, after, reason FROM audit_log")
    assert (entry["actor"], entry["action"], entry["reason"]) == ("tara", "trade.exit_plan", "calm day")
    assert (entry["before"]["stop_loss"], entry["after"]["stop_loss"]) == ("990.00", "995.50")


@pytest.mark.parametrize(
    ("if_match", "status", "code"),
    [
        (None, 428, "precondition_required"),
        ('"2"', 412, "precondition_failed"),
        ('W/"1"', 412, "precondition_failed"),
        ("", 412, "precondition_failed"),
    ],
)
def test_a_change_must_name_the_version_it_read(
    client: TestClient, trade_engine: Engine, if_match: str | None, status: int, code: str
) -> None:
    trade = opened(client)
    answer = change(client, trade["trade_id"], {"stop_loss": "995"}, if_match)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.get(f"/trades/{trade['trade_id']}").json() == trade
    assert told(trade_engine) == []


@pytest.mark.parametrize("if_match", ['"1"', "1", "*", '"7", "1"'])
def test_version_is_accepted_alone_in_list_or_as_star(client: TestClient, if_match: str) -> None:
    assert change(client, opened(client)["trade_id"], {"stop_loss": "995"}, if_match).status_code == 200


def test_a_change_to_the_same_plan_writes_nothing(client: TestClient, trade_engine: Engine) -> None:
    trade = opened(client)
    answer = change(client, trade["trade_id"], {"stop_loss": "990.0"})
    assert (answer.status_code, answer.json()) == (200, trade)
    assert told(trade_engine) == []


def test_of_concurrent_changes_of_one_version_exactly_one_succeeds(client: TestClient, trade_engine: Engine) -> None:
    trade = opened(client)
    stops = [f"{price}.00" for price in range(980, 988)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda stop: change(client, trade["trade_id"], {"stop_loss": stop}), stops))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert len(told(trade_engine)) == 1


@pytest.mark.parametrize(
    ("plan", "body", "status", "code"),
    [
        ({"target": "1010"}, {"target": None}, 422, "invalid_input"),
        ({"target": "1010"}, {"take_profit": "1020"}, 422, "invalid_input"),
        ({"target": "1010"}, {"target": "-1"}, 422, "invalid_input"),
        ({"target": "1010"}, {"stop_loss": "1010"}, 422, "plan_contradiction"),
        ({"target": "1010", "bricks": BRICKS}, {"bricks": {**BRICKS, "size": "5"}}, 422, "plan_contradiction"),
    ],
)
def test_a_plan_that_cannot_be_obeyed_is_refused(
    client: TestClient, trade_engine: Engine, plan: dict[str, Any], body: dict[str, Any], status: int, code: str
) -> None:
    trade = opened(client, exit_plan=plan)
    answer = change(client, trade["trade_id"], body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert told(trade_engine) == []


def test_only_traders_change_plans_of_open_trades_that_exist(client: TestClient, trade_engine: Engine) -> None:
    trade_id = opened(client)["trade_id"]
    assert change(client, str(new_id()), {"stop_loss": "995"}).status_code == 404
    forbidden = client.patch(f"/trades/{trade_id}/exit-plan", json={}, headers={**READER, "If-Match": "*"})
    assert forbidden.status_code == 403
    trade = open_trade(trade_engine)
    apply(trade_engine, [report(Intent(trade).filled(execution(100)))])
    closed = change(client, str(trade.trade_id), {"stop_loss": "995"})
    assert (closed.status_code, closed.json()["code"]) == (409, "trade_closed")


def test_plan_met_by_last_price_is_refused_unless_requested(client: TestClient, trade_engine: Engine) -> None:
    prices = SetMarket()
    with_market(client, prices)
    assert post(client).status_code == 201
    prices.price = Decimal(1010)
    refused = post(client)
    assert (refused.status_code, refused.json()["code"]) == (409, "would_exit_now")
    assert (refused.json()["met"], refused.json()["last_price"]) == (["TARGET at 1010.00"], "1010.00")
    trade = opened(client, allow_immediate=True)
    prices.price = Decimal(1004)
    answer = change(client, trade["trade_id"], {"stop_loss": "1004"})
    assert (answer.status_code, answer.json()["code"]) == (409, "would_exit_now")
    assert told(trade_engine) == []
    assert change(client, trade["trade_id"], {"stop_loss": "1003.95"}).status_code == 200
    at_once = {"stop_loss": "1004", "allow_immediate": True}
    assert change(client, trade["trade_id"], at_once, '"2"').status_code == 200


def test_a_price_off_the_tick_size_is_refused(client: TestClient) -> None:
    with_market(client, SetMarket(tick_size=Decimal("0.05")))
    refused = post(client, exit_plan={"target": "1010.02", "stop_loss": "990"}, allow_immediate=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_contradiction")
    assert refused.json()["contradictions"] == ["target 1010.02 is not a multiple of the tick size 0.05"]
    trade = opened(client)
    assert change(client, trade["trade_id"], {"stop_loss": "995.01"}).status_code == 422
    assert change(client, trade["trade_id"], {"stop_loss": "995.05"}).status_code == 200


@pytest.mark.parametrize(
    ("market", "quantity", "named"),
    [
        ({"lot_size": 30}, 100, {"lot_size": 30}),
        ({"lot_size": 30}, 29, {"lot_size": 30}),
        ({"lot_size": 30, "freeze_quantity": 600}, 630, {"freeze_quantity": 600}),
        ({"freeze_quantity": 600}, 601, {"freeze_quantity": 600}),
        ({"lot_size": 30, "freeze_quantity": 600}, 600, None),
        ({"lot_size": 1}, 100, None),
        ({}, 100, None),
    ],
)
def test_a_quantity_without_an_exit_is_refused(
    client: TestClient, market: dict[str, int], quantity: int, named: dict[str, int] | None
) -> None:
    with_market(client, SetMarket(**market))  # type: ignore[arg-type]  # of numbers alone
    answer = post(client, quantity=quantity)
    if named is None:
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "quantity_without_exit")
    assert answer.json().items() >= named.items()


@dataclass
class SetMarket:
    """The market of every symbol, as a test says it."""

    price: Decimal | None = None
    tick_size: Decimal | None = None
    lot_size: int | None = None
    freeze_quantity: int | None = None

    def of(self, symbol: str) -> Market:
        """Return the market."""
        assert symbol == "NSE:INFY"
        return Market(self.price, self.tick_size, self.lot_size, self.freeze_quantity)

    def kept(self, symbol: str) -> Market:
        """Return it without waiting."""
        return self.of(symbol)


def with_market(client: TestClient, market: SetMarket) -> None:
    """Let the routes know a market."""
    state = client.app.state  # type: ignore[attr-defined]  # the app is a FastAPI
    state.context = replace(state.context, markets=market, market_questions=MarketQuestions(market))
