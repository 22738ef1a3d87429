"""Exits decided, withdrawn or asked for by a filter by operators, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.brokers.port import ExitOrder, PlaceOutcome
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.ids import new_id
from tests.integration.exit_qualification.api.test_exit_api import client
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

__all__ = ["client"]


def ago(**since: float) -> str:
    return (datetime.now(UTC) - timedelta(**since)).isoformat()


FILL = {"broker_trade_id": "T1", "quantity": 100, "price": "1010.50"}
FILLED: dict[str, Any] = {"resolution": "filled", "reason": "note", "broker_order_id": "77", "fills": [FILL]}


class SilentBroker(ScriptedBroker):
    """A silent broker."""

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        self.fault({"kind": "drop_answer"})
        return super().place_market_exit(order)


@pytest.fixture
def scenario(exit_engine: Engine) -> OrderScenario:
    return OrderScenario(exit_engine, SilentBroker())


@pytest.fixture
def unknown(scenario: OrderScenario) -> ExitIntent:
    """A stop with an order possibly at the broker."""
    intent = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    return scenario.expect(intent, IntentStatus.UNKNOWN)


def decide(
    client: TestClient, intent: ExitIntent, status: int = 200, *, fills: Sequence[dict[str, Any]] = (), **body: Any
) -> dict[str, Any]:
    """Send a decision; its fills are of now unless they have a time."""
    timed = [{"filled_at": ago(), **fill} for fill in fills]
    answer = client.post(f"/exits/{intent.intent_id}/resolve", json={**body, "fills": timed})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_exit_resolved_as_filled_closes_its_trade(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent
) -> None:
    shown = decide(client, unknown, **FILLED)
    assert (shown["status"], shown["broker_order_id"], shown["average_price"]) == ("FILLED", "77", "1010.50")
    assert scenario.event_names(unknown)[-1] == "Filled"
    with scenario.engine.connect() as connection:
        row = connection.execute(text("SELECT actor, reason FROM audit_log WHERE action = 'exit.resolve'")).one()
    assert tuple(row) == ("ops-desk", "note")
    assert decide(client, unknown, 409, **FILLED)["code"] == "not_resolvable"


def test_fewer_shares_than_ordered_let_the_rest_exit_again(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent
) -> None:
    shown = decide(client, unknown, **{**FILLED, "fills": [{**FILL, "quantity": 30}]})
    assert (shown["status"], shown["filled_quantity"]) == ("CANCELLED", 30)
    assert scenario.go_on(scenario.intent(unknown)).quantity == 70


@pytest.mark.parametrize("resolution", ["failed", "not_placed"])
def test_an_exit_that_came_to_nothing_is_failed(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent, resolution: str
) -> None:
    shown = decide(client, unknown, resolution=resolution, reason="checked by phone")
    assert shown["status"] == "FAILED"
    assert "checked by phone" in shown["error_message"]
    assert scenario.event_names(unknown) == ["Failed"]


@pytest.mark.parametrize(
    "body",
    [
        {**FILLED, "fills": []},
        {**FILLED, "fills": [{**FILL, "quantity": 101}]},
        {**FILLED, "fills": [{**FILL, "quantity": 10}, {**FILL, "quantity": 20}]},
        {**FILLED, "broker_order_id": None},
        {**FILLED, "resolution": "failed"},
        {**FILLED, "resolution": "not_placed"},
        {**FILLED, "reason": ""},
        {**FILLED, "resolution": "maybe"},
        {**FILLED, "fills": [{**FILL, "filled_at": ago(days=1)}]},
        {**FILLED, "fills": [{**FILL, "filled_at": ago(minutes=10)}]},
        {**FILLED, "fills": [{**FILL, "filled_at": ago(hours=-2)}]},
    ],
)
def test_a_decision_that_contradicts_itself_is_refused(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent, body: dict[str, Any]
) -> None:
    decide(client, unknown, 422, **body)
    scenario.expect(unknown, IntentStatus.UNKNOWN)


@pytest.mark.parametrize(
    "body",
    [
        {**FILLED, "broker_order_id": "99"},
        {**FILLED, "broker_order_id": "99", "resolution": "failed", "fills": []},
        {**FILLED, "broker_order_id": None, "fills": [{**FILL, "broker_trade_id": "1", "quantity": 31}]},
        {**FILLED, "broker_order_id": None, "fills": [{**FILL, "broker_trade_id": "1", "quantity": 30, "price": "9"}]},
    ],
)
def test_other_facts_than_the_known_ones_are_refused(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent, body: dict[str, Any]
) -> None:
    broker = scenario.brokers
    assert isinstance(broker, SilentBroker)
    broker.fill("1", 30, "1010.50")
    scenario.reconciler.reconcile_once()
    scenario.expect(unknown, IntentStatus.PARTIALLY_FILLED)
    decide(client, unknown, 422, **body)
    scenario.expect(unknown, IntentStatus.PARTIALLY_FILLED)


def test_the_order_of_another_exit_is_refused(client: TestClient, scenario: OrderScenario, unknown: ExitIntent) -> None:
    decide(client, unknown, **FILLED)
    other = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    answer = decide(client, other, 422, **FILLED)
    assert str(unknown.intent_id) in answer["detail"]
    scenario.expect(other, IntentStatus.UNKNOWN)


def test_unsent_exit_is_withdrawn_but_sent_exit_is_not(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent
) -> None:
    waiting = scenario.approved()
    answer = client.post(f"/exits/{waiting.intent_id}/withdraw", json={"reason": "wrong trade"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["cancel_reason"]) == ("CANCELLED", "WITHDRAWN")
    assert scenario.event_names(waiting) == ["Cancelled"]
    assert client.post(f"/exits/{unknown.intent_id}/withdraw", json={"reason": "late"}).status_code == 409
    assert client.post(f"/exits/{new_id()}/withdraw", json={"reason": "none"}).status_code == 404


def test_bulk_exit_lists_first_then_exits_filtered_trades(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent
) -> None:
    trades = [scenario.open_trade() for _ in range(3)]
    wanted = {"symbol": SYMBOL, "reason_note": "halted"}
    listed = client.post("/exits/bulk", json={**wanted, "dry_run": True}).json()
    assert (listed["exits"], len(listed["items"])) == (3, 4)
    assert client.get("/exits", params={"status": "APPROVED"}).json()["items"] == []
    headers = {"Idempotency-Key": "bulk-1"}
    done = client.post("/exits/bulk", json=wanted, headers=headers).json()
    assert done == client.post("/exits/bulk", json=wanted, headers=headers).json()
    by_trade = {item["trade_id"]: item for item in done["items"]}
    assert by_trade[str(unknown.trade_id)]["skipped"] == "exit_in_progress"
    approved = client.get("/exits", params={"status": "APPROVED"}).json()["items"]
    assert {item["trade_id"] for item in approved} == {str(trade.trade_id) for trade in trades}
    assert all(by_trade[item["trade_id"]]["intent_id"] == item["intent_id"] for item in approved)


def test_bulk_withdrawal_lists_first_then_cancels_unsent_exits(
    client: TestClient, scenario: OrderScenario, unknown: ExitIntent
) -> None:
    waiting = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    target = scenario.detect(scenario.open_trade(), ExitReason.TARGET)
    wanted = {"symbol": SYMBOL, "exit_reason": "STOP_LOSS", "reason": "wrong plan"}
    listed = client.post("/exits/withdraw/bulk", json={**wanted, "dry_run": True}).json()
    assert (listed["withdrawn"], len(listed["items"])) == (3, 4)
    assert {item["status"] for item in listed["items"]} == {"APPROVED", "UNKNOWN"}
    headers = {"Idempotency-Key": "withdraw-1"}
    done = client.post("/exits/withdraw/bulk", json=wanted, headers=headers).json()
    assert done == client.post("/exits/withdraw/bulk", json=wanted, headers=headers).json()
    skipped = {item["intent_id"]: item["skipped"] for item in done["items"]}
    assert skipped == {str(unknown.intent_id): "already_sent"} | {str(it.intent_id): None for it in waiting}
    for intent in waiting:
        assert scenario.intent(intent).cancel_reason == "WITHDRAWN"
        assert scenario.event_names(intent) == ["Cancelled"]
    scenario.expect(target, IntentStatus.APPROVED)
    with scenario.engine.connect() as connection:
        facts = connection.execute(text("SELECT after FROM audit_log WHERE action = 'exit.withdraw.bulk'")).scalar_one()
    assert (facts["withdrawn"], facts["skipped"], facts["symbol"]) == (3, 1, SYMBOL)


def test_bulk_withdrawal_passes_over_a_locked_trade(client: TestClient, scenario: OrderScenario) -> None:
    held, free = scenario.approved(), scenario.approved()
    with scenario.engine.begin() as other:
        other.execute(text("SELECT FROM open_trades WHERE trade_id = :id FOR UPDATE"), {"id": held.trade_id})
        done = client.post("/exits/withdraw/bulk", json={"symbol": SYMBOL, "reason": "halted"}).json()
    assert {item["intent_id"]: item["skipped"] for item in done["items"]} == {
        str(held.intent_id): "row_held",
        str(free.intent_id): None,
    }
    scenario.expect(held, IntentStatus.APPROVED)


def test_a_filter_without_a_condition_and_a_reader_are_refused(client: TestClient, scenario: OrderScenario) -> None:
    assert client.post("/exits/bulk", json={"reason_note": "all"}).status_code == 422
    assert client.post("/exits/withdraw/bulk", json={"reason": "all"}).status_code == 422
    reader = {"Authorization": "Bearer reader-token"}
    bodies: dict[str, dict[str, Any]] = {
        "bulk": {"reason_note": "x", "symbol": SYMBOL},
        "withdraw/bulk": {"reason": "x", "symbol": SYMBOL},
        f"{new_id()}/resolve": {"reason": "x", "resolution": "failed"},
        f"{new_id()}/withdraw": {"reason": "x"},
    }
    for path, body in bodies.items():
        assert client.post(f"/exits/{path}", json=body, headers=reader).status_code == 403
