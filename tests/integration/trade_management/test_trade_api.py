"""trade-api over HTTP on a real PostgreSQL."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Connection, Engine

from shared.clock import rfc3339, trading_day
from shared.ids import new_id
from shared.runtime.telemetry import REGISTRY
from tests.integration.trade_management.conftest import READER
from tests.integration.trade_management.ledger import CLOCK, Intent, emitted, execution, open_trade, rows
from tests.integration.trade_management.test_closing import apply, report
from tests.support.statements import sent_statements

BODY: dict[str, Any] = {
    "symbol": "NSE:INFY",
    "direction": "LONG",
    "product_type": "MIS",
    "quantity": 100,
    "entry_price": "1000.00",
    "user_broker_id": "paper",
    "exit_plan": {"target": "1010.00", "stop_loss": "990.00"},
}


def post(client: TestClient, key: str | None = None, **other: Any) -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {name: value for name, value in {**BODY, **other}.items() if value is not ...}
    answer: Response = client.post("/trades", json=body, headers=headers)
    return answer


def opened(client: TestClient, **other: Any) -> dict[str, Any]:
    answer = post(client, **other)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_trade_is_opened_and_answered_as_it_stands(client: TestClient, trade_engine: Engine) -> None:
    before = CLOCK.now()
    trade = opened(client)
    assert {name: trade[name] for name in BODY} == BODY
    assert (trade["status"], trade["open_quantity"]) == ("OPEN", 100)
    assert rfc3339(before) <= trade["entered_at"] <= rfc3339(CLOCK.now())
    assert all(trade[name] is None for name in ("exit_price", "gross_pnl", "charges", "net_pnl", "closed_at"))
    assert client.get(f"/trades/{trade['trade_id']}").json() == trade
    assert emitted(trade_engine, "TradeOpened", UUID(trade["trade_id"])) == 1


def test_money_has_at_least_two_decimals_whatever_was_sent(client: TestClient) -> None:
    trade = opened(client, entry_price="1000", exit_plan={"target": "1010.0525", "stop_loss": "990.5"})
    assert trade["entry_price"] == "1000.00"
    assert trade["exit_plan"] == {"target": "1010.0525", "stop_loss": "990.50"}


def test_the_event_says_what_was_opened(client: TestClient, trade_engine: Engine) -> None:
    trade = opened(client, exit_plan={"target": "1010"})
    (event,) = rows(trade_engine, "SELECT topic, key, convert_from(payload, 'utf8')::jsonb AS said FROM outbox_event")
    assert (event["topic"], event["key"]) == ("trades.v1", "NSE:INFY")
    assert event["said"]["trade_id"] == trade["trade_id"]
    assert event["said"]["exit_plan"]["target"] == "1010.00"
    assert event["said"]["entered_at"] == trade["entered_at"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"symbol": "nse:infy"}, "symbol"),
        ({"symbol": "INFY"}, "symbol"),
        ({"direction": "UP"}, "direction"),
        ({"product_type": "BO"}, "product_type"),
        ({"product_type": "NRML"}, "NRML is for futures and options"),
        ({"product_type": "CNC", "symbol": "NFO:NIFTY26NOVFUT"}, "NFO has no delivery"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "100"}, "quantity"),
        ({"quantity": 10.5}, "quantity"),
        ({"entry_price": "-1"}, "entry_price"),
        ({"entry_price": "1000.00001"}, "entry_price"),
        ({"entry_price": "NaN"}, "entry_price"),
        ({"entry_price": "1e30"}, "entry_price"),
        ({"user_broker_id": ...}, "user_broker_id"),
        ({"user_broker_id": "Paper Broker"}, "user_broker_id"),
        ({"exit_plan": {}}, "exit_plan"),
        ({"exit_plan": ...}, "exit_plan"),
        ({"exit_plan": "target"}, "exit_plan"),
        ({"exit_plan": {"take_profit": "1010"}}, "take_profit"),
        ({"exit_plan": {"target": "1010", "trailing_stop": {"amount": "5", "percent": "1"}}}, "give `amount`, or"),
        ({"exit_plan": {"break_even": {"arm": "5", "offset": "5"}}}, "`offset` must be below `arm`"),
        ({"exit_plan": {"bricks": {"size": "4"}}}, "bricks need `confirm` or `reversal`"),
        ({"entered_at": "2026-01-13T09:15:00"}, "entered_at"),
        ({"entered_at": "0001-01-01T00:00:00+05:30"}, "entered_at"),
        ({"leverage": 5}, "leverage"),
    ],
)
def test_invalid_input_is_a_problem_naming_the_field(
    client: TestClient, trade_engine: Engine, wrong: dict[str, Any], said: str
) -> None:
    answer = post(client, **wrong)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.text
    assert rows(trade_engine, "SELECT FROM trades") == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"exit_plan": {"target": "990"}}, "plan_contradiction"),
        ({"exit_plan": {"stop_loss": "1000"}}, "plan_contradiction"),
        ({"direction": "SHORT", "exit_plan": {"target": "1010"}}, "plan_contradiction"),
        ({"direction": "SHORT", "product_type": "CNC", "exit_plan": {"target": "990"}}, "short_delivery"),
        ({"quantity": 10**12, "entry_price": "1000"}, "invalid_input"),
        ({"entered_at": rfc3339(CLOCK.now() + timedelta(days=1))}, "invalid_input"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_stable_code(
    client: TestClient, trade_engine: Engine, wrong: dict[str, Any], code: str
) -> None:
    answer = post(client, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert rows(trade_engine, "SELECT FROM trades") == []
    assert rows(trade_engine, "SELECT FROM outbox_event") == []


@pytest.mark.parametrize("path", ["/trades", "/pnl"])
def test_a_filter_that_cannot_be_a_symbol_is_refused(client: TestClient, path: str) -> None:
    assert client.get(path, params={"symbol": "NSE:\0"}).status_code == 422


def test_a_key_that_cannot_be_stored_is_refused(client: TestClient) -> None:
    assert post(client, "key\0").status_code == 422


def test_a_repeated_key_returns_the_answer_and_opens_one_trade(client: TestClient, trade_engine: Engine) -> None:
    first, again = post(client, "key-1"), post(client, "key-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(rows(trade_engine, "SELECT FROM trades")) == 1
    assert emitted(trade_engine, "TradeOpened", UUID(first.json()["trade_id"])) == 1


def test_the_same_key_with_another_body_is_a_conflict(client: TestClient, trade_engine: Engine) -> None:
    post(client, "key-1")
    answer = post(client, "key-1", quantity=200)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert len(rows(trade_engine, "SELECT FROM trades")) == 1


def test_a_key_whose_call_was_refused_is_free(client: TestClient) -> None:
    assert post(client, "key-1", exit_plan={"target": "990"}).status_code == 422
    assert post(client, "key-1").status_code == 201


def test_the_same_key_at_the_same_time_opens_one_trade(client: TestClient, trade_engine: Engine) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(client, "key-1"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["trade_id"] for answer in answers}) == 1
    assert len(rows(trade_engine, "SELECT FROM trades")) == 1


def test_without_a_key_every_call_opens_a_trade(client: TestClient, trade_engine: Engine) -> None:
    post(client)
    post(client)
    assert len(rows(trade_engine, "SELECT FROM trades")) == 2


def test_no_route_but_health_answers_without_a_token(client: TestClient) -> None:
    routes = [(method, path) for path, item in client.get("/openapi.json").json()["paths"].items() for method in item]
    assert ("post", "/trades") in routes
    del client.headers["Authorization"]
    guarded = [(method, path) for method, path in routes if path not in ("/healthz", "/readyz")]
    for method, path in guarded:
        concrete = re.sub(r"\{\w+\}", str(new_id()), path)
        answer = client.request(method, concrete, json=BODY if method == "post" else None)
        assert answer.status_code == 401, (method, path)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_a_token_opens_only_what_its_scopes_say(client: TestClient) -> None:
    assert client.post("/trades", json=BODY, headers=READER).status_code == 403
    assert client.get("/trades", headers=READER).status_code == 200
    operator = {"Authorization": "Bearer operator-token"}
    assert client.get("/trades", headers=operator).status_code == 403
    assert client.get("/trades", headers={"Authorization": "Bearer made-up"}).status_code == 401


def test_pages_are_newest_first_and_lose_and_repeat_nothing(client: TestClient, trade_engine: Engine) -> None:
    made = [str(open_trade(trade_engine).trade_id) for _ in range(7)]
    seen, cursor, pages = [], None, 0
    while True:
        page = client.get("/trades", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [trade["trade_id"] for trade in page["items"]]
        cursor, pages = page["next"], pages + 1
        if cursor is None:
            break
    assert seen == made[::-1]
    assert pages == 3


def test_a_full_last_page_has_no_next(client: TestClient, trade_engine: Engine) -> None:
    open_trade(trade_engine)
    assert client.get("/trades", params={"limit": 1}).json()["next"] is None


def test_trades_are_filtered_by_status_and_symbol(client: TestClient, trade_engine: Engine) -> None:
    done, other = open_trade(trade_engine), open_trade(trade_engine, symbol="NSE:TCS")
    apply(trade_engine, [report(Intent(done).filled(execution()))])

    def found(**filters: str) -> list[str]:
        return [trade["trade_id"] for trade in client.get("/trades", params=filters).json()["items"]]

    assert found(status="CLOSED") == [str(done.trade_id)]
    assert found(status="OPEN") == [str(other.trade_id)]
    assert found(symbol="NSE:TCS") == [str(other.trade_id)]
    assert found(symbol="NSE:TCS", status="CLOSED") == []


@pytest.mark.parametrize(
    "wrong", [{"status": "HALF"}, {"symbol": "tcs"}, {"limit": 0}, {"cursor": "xyz"}, {"cursor": "WyJhIiwiYiJd"}]
)
def test_a_filter_that_cannot_be_is_refused(client: TestClient, wrong: dict[str, Any]) -> None:
    assert client.get("/trades", params=wrong).status_code == 422


def test_a_closed_trade_shows_its_result(client: TestClient, trade_engine: Engine) -> None:
    trade = open_trade(trade_engine)
    intent = Intent(trade)
    apply(trade_engine, [report(intent.filled(execution()))])
    shown = client.get(f"/trades/{trade.trade_id}").json()
    assert {name: shown[name] for name in ("status", "open_quantity", "exit_price", "exit_reason")} == {
        "status": "CLOSED",
        "open_quantity": 0,
        "exit_price": "1010.00",
        "exit_reason": "TARGET",
    }
    assert (shown["gross_pnl"], shown["charges"], shown["net_pnl"]) == ("1000.00", "82.72", "917.28")
    assert shown["exit_intent_id"] == str(intent.intent_id)


@pytest.mark.parametrize("path", ["/trades/{}", "/trades/{}/timeline"])
def test_a_trade_that_is_not_there_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path.format(new_id()))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_timeline_tells_what_happened_in_order(client: TestClient, trade_engine: Engine) -> None:
    start = CLOCK.now() - timedelta(hours=1)
    trade = open_trade(trade_engine, entered_at=start)
    first = execution(40, nth=1, at=start + timedelta(minutes=1))
    second = execution(60, nth=2, at=start + timedelta(minutes=2))
    intent = Intent(trade)
    apply(trade_engine, [report(intent.partially_filled(first)), report(intent.filled(first, second))])
    late = execution(5, nth=3, at=start + timedelta(minutes=3))
    apply(trade_engine, [report(Intent(trade).late_fill(late))])
    items = client.get(f"/trades/{trade.trade_id}/timeline").json()["items"]
    assert [item["kind"] for item in items] == ["OPENED", "FILL", "CLOSURE", "FILL", "CLOSURE", "FILL"]
    assert [item.get("late") for item in items if item["kind"] == "FILL"] == [False, False, True]
    assert [item.get("final") for item in items if item["kind"] == "CLOSURE"] == [False, True]
    assert items[2]["lines"]["ENTRY"]["BROKERAGE"] == "8.00"


def test_profit_and_loss_sums_trades_by_day_and_symbol(client: TestClient, trade_engine: Engine) -> None:
    one, two = open_trade(trade_engine), open_trade(trade_engine, symbol="NSE:TCS")
    open_trade(trade_engine)
    apply(trade_engine, [report(Intent(trade).filled(execution())) for trade in (one, two)])
    today = trading_day(CLOCK.now())
    both = {"count": 2, "gross_pnl": "2000.00", "charges": "165.44", "net_pnl": "1834.56", "unknown_charges": 0}
    nothing = {"count": 0, "gross_pnl": "0.00", "charges": "0.00", "net_pnl": "0.00", "unknown_charges": 0}

    def totals(**filters: str) -> dict[str, Any]:
        answer = client.get("/pnl", params=filters)
        assert answer.status_code == 200, answer.text
        return {name: answer.json()[name] for name in both}

    assert totals() == both
    assert totals(day=str(today)) == both
    assert totals(day=str(today - timedelta(days=1))) == nothing
    assert totals(symbol="NSE:TCS")["net_pnl"] == "917.28"
    assert totals(symbol="NSE:SBIN") == nothing
    with sent_statements() as statements:
        by_symbol = client.get("/pnl", params={"group_by": "symbol", "day": str(today)}).json()
    assert sum("FROM trade_management.trades" in each or "FROM trades" in each for each in statements) == 1
    assert {name: by_symbol[name] for name in both} == both
    assert by_symbol["group_by"] == "symbol" and len(by_symbol["groups"]) == 2
    assert sum(group["count"] for group in by_symbol["groups"]) == both["count"]
    assert by_symbol["last_closed_at"] == max(group.pop("last_closed_at") for group in by_symbol["groups"])
    of_tcs = next(group for group in by_symbol["groups"] if group["group"] == "NSE:TCS")
    assert of_tcs == {"group_by": "symbol", "group": "NSE:TCS", **totals(symbol="NSE:TCS")}
    (account,) = client.get("/pnl", params={"group_by": "user_broker_id"}).json()["groups"]
    assert account == {
        "group_by": "user_broker_id",
        "group": "paper",
        **both,
        "last_closed_at": by_symbol["last_closed_at"],
    }
    assert client.get("/pnl", params={"symbol": "NSE:SBIN"}).json()["last_closed_at"] is None


def test_the_metrics_count_opened_trades(client: TestClient) -> None:
    opened(client)
    assert re.search(r"^trades_opened_total [1-9]", client.get("/metrics").text, re.MULTILINE)


def test_a_trade_whose_commit_fails_is_not_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    before = REGISTRY.get_sample_value("trades_opened_total")
    with monkeypatch.context() as patched:
        patched.setattr(Connection, "commit", _refuse_to_commit)
        with pytest.raises(RuntimeError, match="no commit"):
            post(client)
    assert REGISTRY.get_sample_value("trades_opened_total") == before
    opened(client)
    assert REGISTRY.get_sample_value("trades_opened_total") == (before or 0) + 1


def _refuse_to_commit(_: Connection) -> None:
    raise RuntimeError("no commit")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("of my own making", False),
    ],
)
def test_an_event_continues_the_trace_of_its_request(
    client: TestClient, trade_engine: Engine, given: str, kept: bool
) -> None:
    assert client.post("/trades", json=BODY, headers={"traceparent": given}).status_code == 201
    (event,) = rows(trade_engine, "SELECT traceparent AS trace FROM outbox_event")
    assert (event["trace"] == given) == kept
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", event["trace"])
