"""Charges over HTTP and the command line on a real PostgreSQL: unknown ones, final ones, sums and their CSV."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from services.trade_management.domain.trade import Trade
from shared.clock import rfc3339, trading_day
from shared.contracts.charges import read_contract_note
from shared.contracts.vocabulary import ProductType
from shared.errors import InvalidInput
from tests.integration.trade_management.ledger import CLOCK, Intent, emitted, execution, open_trade, rows
from tests.integration.trade_management.test_closing import apply, report
from tests.integration.trade_management.test_trade_api import opened
from tests.support.statements import sent_statements

OPERATOR = {"Authorization": "Bearer operator-token"}
LONG_AGO = CLOCK.now() - timedelta(days=3650)
TRADE_ID = UUID(int=1)


def close(engine: Engine, trade: Trade, price: str = "1010") -> None:
    apply(engine, [report(Intent(trade).filled(execution(price=price)))])


def closed_trade(engine: Engine, **terms: Any) -> Trade:
    trade = open_trade(engine, **terms)
    close(engine, trade)
    return trade


def shown(client: TestClient, trade: Trade) -> tuple[str | None, str | None, str | None]:
    body = client.get(f"/trades/{trade.trade_id}").json()
    return body["charges"], body["charges_status"], body["net_pnl"]


def line(trade: Trade, charge: str, amount: str, leg: str = "EXIT", number: int = 2) -> dict[str, Any]:
    return {"line": number, "trade_id": str(trade.trade_id), "leg": leg, "charge": charge, "amount": amount}


def finalise(client: TestClient, *lines: dict[str, Any], **more: Any) -> Any:
    body = {"lines": list(lines), "reason": "note of the day", **more}
    return client.post("/charges/finalise", json=body, headers=OPERATOR)


def test_trade_before_first_schedule_is_accepted_with_unknown_charges(client: TestClient, trade_engine: Engine) -> None:
    body = opened(client, entered_at=rfc3339(LONG_AGO))
    assert (body["status"], body["charges_status"]) == ("OPEN", None)
    old = open_trade(trade_engine, entered_at=LONG_AGO)
    close(trade_engine, old)
    known = closed_trade(trade_engine)
    assert shown(client, old) == (None, "UNKNOWN", None)
    assert shown(client, known) == ("82.72", "ESTIMATED", "917.28")
    (event,) = rows(
        trade_engine,
        "SELECT convert_from(payload, 'utf8')::jsonb AS said FROM outbox_event "
        "WHERE ce_type = 'io.exitflow.TradeClosed.v1' AND ce_subject = :id",
        id=str(old.trade_id),
    )
    assert (event["said"]["gross_pnl"], event["said"]["charges"], event["said"]["net_pnl"]) == ("1000.00", None, None)
    sums = client.get("/pnl").json()
    assert (sums["count"], sums["unknown_charges"]) == (2, 1)
    assert (sums["gross_pnl"], sums["charges"], sums["net_pnl"]) == ("2000.00", "82.72", "1917.28")


def test_a_contract_note_makes_charges_final_once(client: TestClient, trade_engine: Engine) -> None:
    trade = closed_trade(trade_engine)
    exit_leg = [line(trade, "BROKERAGE", "20.00"), line(trade, "STT", "26.00", number=3)]
    assert finalise(client, *exit_leg, dry_run=True).json()["items"][0]["changed"] is True
    assert shown(client, trade) == ("82.72", "ESTIMATED", "917.28")
    for changed in (True, False):
        answer = finalise(client, *exit_leg)
        assert answer.status_code == 200, answer.text
        assert answer.json()["items"] == [
            {"trade_id": str(trade.trade_id), "leg": "EXIT", "charges": "46.00", "changed": changed}
        ]
    # The entry keeps its estimate of 30.34: 20 + 3.07 + 0.10 + 3.00 + 4.17
    assert shown(client, trade) == ("76.34", "ESTIMATED", "923.66")
    assert finalise(client, line(trade, "BROKERAGE", "19.00", "ENTRY")).status_code == 200
    assert shown(client, trade) == ("65.00", "FINAL", "935.00")
    assert emitted(trade_engine, "TradeChargesChanged", trade.trade_id) == 2
    audited = client.get("/audit").json()["items"]
    assert [(each["actor"], each["after"]["charges_status"]) for each in audited] == [
        ("ops-desk", "FINAL"),
        ("ops-desk", "ESTIMATED"),
    ]
    assert audited[0]["before"]["charges"] == "76.34"


def test_final_charges_make_unknown_ones_known(client: TestClient, trade_engine: Engine) -> None:
    trade = closed_trade(trade_engine, entered_at=LONG_AGO)
    finalise(client, line(trade, "STT", "25.00"))
    assert shown(client, trade) == (None, "UNKNOWN", None)
    finalise(client, line(trade, "STT", "30.00", "ENTRY"))
    assert shown(client, trade) == ("55.00", "FINAL", "945.00")


def test_every_wrong_line_is_named_and_nothing_is_stored(client: TestClient, trade_engine: Engine) -> None:
    closed, still_open = closed_trade(trade_engine), open_trade(trade_engine)
    finalise(client, line(closed, "STT", "25.00"))
    unknown = line(closed, "STT", "1.00", number=4) | {"trade_id": str(UUID(int=7))}
    good = line(closed, "STT", "1.00", "ENTRY", number=5)
    answer = finalise(client, line(closed, "STT", "26.00"), line(still_open, "STT", "1.00", number=3), unknown, good)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["line 2", "line 3", "line 4"]
    assert "has other final charges, 25.00" in answer.json()["errors"][0]["message"]
    twice = finalise(client, line(closed, "GST", "1.00"), line(closed, "GST", "2.00", number=9))
    assert twice.json()["errors"][0]["field"] == "line 9"
    assert rows(trade_engine, "SELECT leg FROM final_charges") == [{"leg": "EXIT"}]
    assert finalise(client, line(closed, "STT", "26.00"), replace=True).status_code == 200
    assert rows(trade_engine, "SELECT nth, lines FROM final_charges ORDER BY nth DESC LIMIT 1") == [
        {"nth": 2, "lines": {"STT": "26.00"}}
    ]


def test_a_trader_cannot_make_charges_final(client: TestClient, trade_engine: Engine) -> None:
    trade = closed_trade(trade_engine)
    body = {"lines": [line(trade, "STT", "1.00")], "reason": "mine"}
    assert client.post("/charges/finalise", json=body).status_code == 403


def test_profit_and_loss_by_every_group_and_as_csv(client: TestClient, trade_engine: Engine) -> None:
    closed_trade(trade_engine)
    closed_trade(trade_engine, symbol="NFO:NIFTY26NOVFUT", product_type=ProductType.NRML)
    today = str(trading_day(CLOCK.now()))
    expected = {
        "day": [today],
        "symbol": ["NFO:NIFTY26NOVFUT", "NSE:INFY"],
        "user_broker_id": ["paper"],
        "exit_reason": ["TARGET"],
        "product_type": ["MIS", "NRML"],
    }
    for group, names in expected.items():
        answer = client.get("/pnl", params={"group_by": group}).json()
        assert sorted(each["group"] for each in answer["groups"]) == names
    with sent_statements() as statements:
        answer = client.get("/pnl", params={"group_by": ",".join(expected)}).json()
    assert sum("FROM trade_management.trades" in each or "FROM trades" in each for each in statements) == 1
    named = [(kind, name) for kind, names in expected.items() for name in names]
    assert sorted((each["group_by"], each["group"]) for each in answer["groups"]) == sorted(named)
    assert (answer["group_by"], answer["count"]) == (None, 2)
    refused = client.get("/pnl", params={"group_by": "symbol,day", "format": "csv"})
    assert refused.status_code == client.get("/pnl", params={"group_by": "symbol,colour"}).status_code == 422
    one = client.get("/pnl", params={"product_type": "NRML", "exit_reason": "TARGET", "user_broker_id": "paper"})
    assert one.json()["count"] == 1
    assert client.get("/pnl", params={"exit_reason": "STOP_LOSS"}).json()["count"] == 0
    answer = client.get("/pnl", params={"group_by": "symbol", "format": "csv", "product_type": "MIS"})
    assert answer.headers["content-type"].startswith("text/csv")
    closed_at = client.get("/pnl", params={"product_type": "MIS"}).json()["last_closed_at"]
    assert answer.text == (
        "group,count,gross_pnl,charges,net_pnl,unknown_charges,last_closed_at\n"
        f"NSE:INFY,1,1000.00,82.72,917.28,0,{closed_at}\n"
        f"TOTAL,1,1000.00,82.72,917.28,0,{closed_at}\n"
    )


def test_schedules_are_shown_with_their_sources(client: TestClient) -> None:
    stt = {"exchange": "NSE", "segment": "FUTURES", "product_type": "NRML", "charge": "STT"}

    def of(day: str) -> list[tuple[str, str]]:
        items = client.get("/charges/schedules", params={"day": day}).json()["items"]
        return [(it["rate"], it["source"]) for it in items if {name: it[name] for name in stt} == stt]

    assert of("2026-03-31") == [("0.0002", "Finance (No. 2) Act 2024")]
    assert of("2026-04-01") == [("0.0005", "Union Budget 2026-27")]
    assert client.get("/charges/schedules", params={"day": "2020-01-01"}).json()["items"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trade_id,charge,amount\n", "the header lacks leg"),
        ("trade_id,leg,charge,amount\n", "no line after the header"),
        (f"trade_id,leg,charge,amount\n{TRADE_ID},EXIT,STT,1\nx,EXIT,STT,1\n", r"^line 3: trade_id"),
        (f"trade_id,leg,charge,amount\n{TRADE_ID},OUT,STT,-1\n", r"line 2: leg.*amount"),
        (f"trade_id,leg,charge,amount\n{TRADE_ID},EXIT,STT,1.00001\n", r"line 2: amount"),
        (f"trade_id,leg,charge,amount\n{TRADE_ID},EXIT\n", r"line 2: charge.*amount"),
    ],
)
def test_a_file_with_wrong_lines_is_refused_by_line(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_contract_note(text.splitlines(keepends=True))
    assert re.search(said, str(refused.value), re.DOTALL)
