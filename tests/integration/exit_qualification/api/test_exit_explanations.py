"""Why a trade exited or did not, over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.ids import new_id
from tests.integration.exit_qualification.api.test_exit_api import _exit, client
from tests.support.statements import sent_statements, waits
from tests.support.trades import opened, project

__all__ = ["client"]


def trade_at(engine: Engine, price: int) -> str:
    """Project a trade on a symbol with a last price in units; its id."""
    trade = opened()
    with engine.begin() as connection:
        TickCheckpointRepository(connection).save_symbols([SymbolCheckpoint("NSE:INFY", 0, SymbolState(price, 1, 1))])
    with engine.connect() as connection:
        project(connection, trade)
    return str(trade.trade_id)


def test_open_trade_shows_distance_to_its_rules(client: TestClient, exit_engine: Engine) -> None:
    found = client.get(f"/exits/why/{trade_at(exit_engine, 1004_0000)}").json()
    assert (found["status"], found["last_tick"]["price"], found["waiting"]) == ("OPEN", "1004.00", [])
    shown = [
        {name: rule[name] for name in ("exit_reason", "armed", "level", "reached", "distance")}
        for rule in found["rules"]
    ]
    assert shown == [
        {"exit_reason": "STOP_LOSS", "armed": True, "level": "990.00", "reached": "at or below", "distance": "14.0000"},
        {"exit_reason": "TARGET", "armed": True, "level": "1010.00", "reached": "at or above", "distance": "6.0000"},
    ]
    assert [entry["step"] for entry in found["timeline"]] == ["ENTERED"]


def test_an_exit_shows_its_gates_and_what_it_holds_back(client: TestClient, exit_engine: Engine) -> None:
    client.put("/kill-switch", json={"mode": "ALL", "reason": "test"})
    client.put(
        "/brokers/paper",
        json={"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "DISCONNECTED", "reason": "test"},
    )
    trade_id = trade_at(exit_engine, 1004_0000)
    intent = _exit(client, trade_id)
    found = client.get(f"/exits/why/{trade_id}").json()
    assert [entry["step"] for entry in found["timeline"]] == ["ENTERED", "DETECTED", "QUALIFIED"]
    qualified = found["timeline"][-1]
    assert qualified["intent_id"] == intent["intent_id"]
    assert qualified["detail"]["held_by"] == ["BROKER_CONNECTED"]
    assert {gate["gate"] for gate in qualified["detail"]["gates"]} >= {"TRADE_OPEN", "KILL_SWITCH", "SESSION_PHASE"}
    assert {rule["held_by"] for rule in found["rules"]} == {"intent"}


def test_an_explanation_is_a_few_waits_for_the_database(client: TestClient, exit_engine: Engine) -> None:
    trade_id = trade_at(exit_engine, 1004_0000)
    _exit(client, trade_id)
    with sent_statements() as sent, waits() as waited:
        assert client.get(f"/exits/why/{trade_id}").status_code == 200
    assert len([statement for statement in sent if "api_tokens" not in statement]) == 10
    assert waited == [*["what a pipeline has so far"] * 2, "ROLLBACK"]


def test_an_unknown_trade_is_not_found(client: TestClient) -> None:
    assert client.get(f"/exits/why/{new_id()}").status_code == 404


def test_a_price_has_the_time_of_its_tick(client: TestClient, exit_engine: Engine) -> None:
    trade_at(exit_engine, 1004_0000)
    found = client.get("/prices/NSE:INFY").json()
    assert (found["last_price"], found["last_tick_at"]) == ("1004.00", "1970-01-01T00:00:00.000001Z")


def test_prices_of_several_symbols_omit_unknown_ones(client: TestClient, exit_engine: Engine) -> None:
    trade_at(exit_engine, 1004_0000)
    found = client.get("/prices", params={"symbols": "NSE:NONE,NSE:NIFTY 50,NSE:INFY,NSE:INFY"}).json()["items"]
    assert [(each["symbol"], each["last_price"]) for each in found] == [("NSE:INFY", "1004.00")]
    assert client.get("/prices").status_code == 422
