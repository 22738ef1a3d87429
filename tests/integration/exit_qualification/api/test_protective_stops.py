"""Protective stops over HTTP: filters, pages, and the stop of one trade in its explanation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.exit_qualification.domain.protective_stop import EndReason
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.clock import SystemClock
from shared.contracts.vocabulary import ProtectiveStopStatus
from shared.ids import new_id
from tests.integration.exit_qualification.api.test_exit_api import client
from tests.support.trades import opened, project

__all__ = ["client"]

PLAN = {"stop_loss": "990", "protective_stop": {"offset": "2"}}


@pytest.fixture
def trade_ids(client: TestClient, exit_engine: Engine) -> list[UUID]:
    """Three trades: the stop of the first has ended, and the others wait to be placed."""
    account = {"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "DISCONNECTED", "reason": "test"}
    assert client.put("/brokers/paper", json=account).status_code == 200
    trades = [opened(plan=PLAN, symbol=symbol) for symbol in ("NSE:INFY", "NSE:INFY", "NSE:TCS")]
    with exit_engine.connect() as connection:
        project(connection, *trades)
    with exit_engine.begin() as connection:
        stops = ProtectiveStopRepository(connection)
        for trade in trades:
            assert stops.want(trade.trade_id, None)
        (first, *_) = stops.standing()
        stops.update(
            first.stop, status=ProtectiveStopStatus.CANCELLED, end_reason=EndReason.EXIT, ended_at=first.stop.created_at
        )
    return [trade.trade_id for trade in trades]


def listed(client: TestClient, **query: Any) -> list[str]:
    """Return the trades of the stops within a filter, page by page."""
    found, cursor = [], None
    while True:
        answer = client.get("/protective-stops", params={**query, "limit": 1} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += [item["trade_id"] for item in answer.json()["items"]]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def test_every_condition_narrows_the_list(client: TestClient, trade_ids: list[UUID]) -> None:
    ended, same_symbol, other = map(str, trade_ids)
    assert listed(client) == [other, same_symbol, ended]
    assert listed(client, standing=True) == [other, same_symbol]
    assert listed(client, symbol="NSE:INFY") == [same_symbol, ended]
    assert listed(client, trade_ids=f"{ended},{other}") == [other, ended]
    assert listed(client, status="CANCELLED") == [ended]
    assert listed(client, user_broker_id="paper", standing=True, symbol="NSE:TCS") == [other]
    assert listed(client, user_broker_id="other") == []
    assert listed(client, trade_ids=str(new_id())) == []
    (cancelled,) = client.get("/protective-stops", params={"trade_ids": ended}).json()["items"]
    assert listed(client, order_id=cancelled["client_order_id"]) == [ended]


def test_stop_and_explanation_show_same_terms(client: TestClient, trade_ids: list[UUID]) -> None:
    (stop,) = client.get("/protective-stops", params={"trade_ids": str(trade_ids[0])}).json()["items"]
    assert (stop["status"], stop["trigger_price"], stop["quantity"]) == ("CANCELLED", "988.00", 100)
    assert (stop["end_reason"], stop["broker_order_id"], stop["armed_at"]) == ("EXIT", None, None)
    assert client.get(f"/exits/why/{trade_ids[0]}").json()["protective_stop"] == stop


@pytest.mark.parametrize("query", [{"cursor": "abc"}, {"trade_ids": "abc"}, {"trade_ids": f"{UUID(int=7)},"}])
def test_foreign_cursor_and_invalid_id_are_refused(client: TestClient, query: dict[str, str]) -> None:
    assert client.get("/protective-stops", params=query).status_code == 422


def test_trades_without_broker_stop_are_listed_with_latest_stop(
    client: TestClient, exit_engine: Engine, trade_ids: list[UUID]
) -> None:
    bare, plain = opened(plan=PLAN), opened(plan={"stop_loss": "990"})
    with exit_engine.connect() as connection:
        project(connection, bare, plain)
    with exit_engine.begin() as connection:
        stops = ProtectiveStopRepository(connection)
        sent = {"status": ProtectiveStopStatus.PLACING, "submitted_at": SystemClock().now()}
        held, refused = (stops.update(each.stop, **sent) for each in stops.standing())
        armed = {"status": ProtectiveStopStatus.ARMED, "broker_order_id": "B1", "armed_at": held.created_at}
        stops.update(held, **armed)
        failed = {"status": ProtectiveStopStatus.FAILED, "error_message": "RMS: no margin"}
        stops.update(refused, **failed, end_reason=EndReason.REJECTED_BY_BROKER, ended_at=refused.created_at)
    cancelled, _, failing = map(str, trade_ids)
    found: dict[str, Any] = {}
    query: dict[str, Any] = {"limit": 2}
    while query:
        answer = client.get("/protective-stops/missing", params=query).json()
        found |= {item["trade_id"]: item for item in answer["items"]}
        query = {"limit": 2, "cursor": answer["next"]} if answer["next"] else {}
    assert list(found) == [cancelled, failing, str(bare.trade_id)]
    assert [item["stop"] and item["stop"]["status"] for item in found.values()] == ["CANCELLED", "FAILED", None]
    assert found[failing]["stop"]["error_message"] == "RMS: no margin"
    assert (found[str(bare.trade_id)]["open_quantity"], found[failing]["symbol"]) == (100, "NSE:TCS")
