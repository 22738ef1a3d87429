"""exit-api over HTTP on a real PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, text

from services.exit_qualification.api.app import create
from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.clock import SystemClock
from shared.contracts.vocabulary import IntentStatus
from shared.http.auth import Scope, store_token
from shared.ids import new_id
from shared.postgres.engine import open_engine
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.exit_qualification.intent_rows import put_intent
from tests.support.servers import Database
from tests.support.statements import sent_statements
from tests.support.trades import opened, project

BROKER = {"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "CONNECTED", "reason": "test"}


@pytest.fixture
def client(database: Database, exit_engine: Engine) -> Iterator[TestClient]:
    """An operator's client."""
    admin = open_engine(database.admin_url, "exit_qualification", application="test")
    with admin.begin() as connection:
        store_token(connection, "operator-token", "ops-desk", [Scope.READ, Scope.OPERATE, Scope.ADMIN])
        store_token(connection, "reader-token", "rita", [Scope.READ])
    admin.dispose()
    health = Health("database", deadline_s=math.inf)
    health.fine("database")
    settings = Settings(exit_database_url=SecretStr(database.exit_url))
    with TestClient(create(settings, exit_engine, health, SystemClock())) as http:
        http.headers["Authorization"] = "Bearer operator-token"
        yield http


def _trade(engine: Engine) -> str:
    trade = opened()
    with engine.connect() as connection:
        project(connection, trade)
    return str(trade.trade_id)


def _exit(client: TestClient, trade_id: str, key: str | None = None) -> dict[str, object]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post("/exits", json={"trade_id": trade_id, "reason_note": "flatten"}, headers=headers)
    assert answer.status_code == 202, answer.text
    body: dict[str, object] = answer.json()
    return body


def test_a_manual_exit_is_approved_and_pending(client: TestClient, exit_engine: Engine) -> None:
    trade_id = _trade(exit_engine)
    intent = _exit(client, trade_id)
    assert (intent["status"], intent["exit_reason"], intent["quantity"]) == ("APPROVED", "MANUAL", 100)
    (item,) = client.get("/exits/pending").json()["items"]
    assert item["intent_id"] == intent["intent_id"]
    assert {gate["verdict"] for gate in item["gates"]} == {"PASS"}
    assert item["detected_price"] is None
    assert client.get(f"/exits/{intent['intent_id']}").json()["fills"] == []


def test_signal_intent_and_events_are_of_one_transaction(client: TestClient, exit_engine: Engine) -> None:
    _exit(client, _trade(exit_engine))
    with exit_engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT s.xid::text AS signal, array_agg(o.xid::text) AS events,"
                " array_agg(o.ce_type ORDER BY o.id) AS types, array_agg(o.topic ORDER BY o.id) AS topics"
                " FROM exit_signals s JOIN outbox_event o ON o.key = s.trade_id::text GROUP BY 1"
            )
        ).one()
    assert set(rows.events) == {rows.signal}
    assert rows.types == ["io.exitflow.ExitSignalPublished.v1", "io.exitflow.ExitIntentApproved.v1"]
    assert rows.topics == ["exits.signals.v1", "exits.intents.v1"]


def test_a_second_manual_exit_is_refused_with_the_first(client: TestClient, exit_engine: Engine) -> None:
    trade_id = _trade(exit_engine)
    first = _exit(client, trade_id)
    second = client.post("/exits", json={"trade_id": trade_id, "reason_note": "again"})
    assert second.status_code == 409
    assert second.headers["content-type"] == "application/problem+json"
    assert second.json()["code"] == "exit_in_progress"
    assert second.json()["intent"]["intent_id"] == first["intent_id"]


def test_a_repeated_key_returns_the_answer_and_another_body_409(client: TestClient, exit_engine: Engine) -> None:
    trade_id = _trade(exit_engine)
    first = _exit(client, trade_id, key="k1")
    assert _exit(client, trade_id, key="k1") == first
    other = client.post(
        "/exits", json={"trade_id": trade_id, "reason_note": "another"}, headers={"Idempotency-Key": "k1"}
    )
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_refused_call_does_not_burn_its_key(client: TestClient, exit_engine: Engine) -> None:
    trade = opened()
    body = {"trade_id": str(trade.trade_id), "reason_note": "early"}
    assert client.post("/exits", json=body, headers={"Idempotency-Key": "k2"}).status_code == 404
    with exit_engine.connect() as connection:
        project(connection, trade)
    assert client.post("/exits", json=body, headers={"Idempotency-Key": "k2"}).status_code == 202


def test_the_kill_switch_is_audited_and_allows_manual_exits(client: TestClient, exit_engine: Engine) -> None:
    put = client.put("/kill-switch", json={"mode": "ALL", "reason": "exchange trouble"})
    assert (put.status_code, put.json()["mode"], put.json()["updated_by"]) == (200, "ALL", "ops-desk")
    assert client.get("/kill-switch").json()["reason"] == "exchange trouble"
    assert _exit(client, _trade(exit_engine))["status"] == "APPROVED"
    with exit_engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM audit_log WHERE action = 'kill_switch.put'")).one()
    assert (row.actor, row.before, row.after) == ("ops-desk", {"mode": "OFF"}, {"mode": "ALL"})


def test_while_the_rollout_is_off_no_exit_is_written(client: TestClient, exit_engine: Engine) -> None:
    client.put("/rollout", json={"mode": "off", "reason": "stop"})
    off = client.post("/exits", json={"trade_id": _trade(exit_engine), "reason_note": "x"})
    assert (off.status_code, off.json()["code"]) == (409, "conflict")


def test_an_exit_waits_for_a_disconnected_broker(client: TestClient, exit_engine: Engine) -> None:
    body = {"account": "PAPER", "root_url": "http://127.0.0.1:9", "status": "DISCONNECTED", "reason": "maintenance"}
    assert client.put("/brokers/paper", json=body).status_code == 200
    intent = _exit(client, _trade(exit_engine))
    assert intent["status"] == "PENDING"
    verdicts = {gate["gate"]: gate["verdict"] for gate in intent["gates"]}  # type: ignore[attr-defined]  # JSON
    assert verdicts["BROKER_CONNECTED"] == "DEFER"
    assert client.get("/brokers/paper").json()["status"] == "DISCONNECTED"
    assert client.get("/brokers/nobody").status_code == 404


def test_a_broker_address_stays_while_it_has_an_exit(client: TestClient, exit_engine: Engine) -> None:
    _exit(client, _trade(exit_engine))
    with exit_engine.begin() as connection:
        connection.execute(
            text("UPDATE exit_intents SET status = 'SUBMITTING', submitted_at = now(), version = version + 1")
        )
    here = {"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "DISCONNECTED", "reason": "maintenance"}
    assert client.put("/brokers/paper", json=here).status_code == 200
    refused = client.put("/brokers/paper", json=here | {"account": "OTHER"})
    assert (refused.status_code, refused.json()["code"], refused.json()["intents"]) == (409, "broker_in_use", 1)
    assert client.get("/brokers/paper").json()["account"] == "PAPER"


def test_pages_join_without_gap_or_repeat(client: TestClient, exit_engine: Engine) -> None:
    made = {_exit(client, _trade(exit_engine))["intent_id"] for _ in range(5)}
    seen: list[object] = []
    cursor = None
    while True:
        page = client.get("/exits", params={"limit": 2} | ({} if cursor is None else {"cursor": cursor})).json()
        seen += [item["intent_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == 5
    assert set(seen) == made
    assert client.get("/exits", params={"limit": 5}).json()["next"] is None
    assert client.get("/exits", params={"cursor": "nonsense"}).status_code == 422


def test_no_route_but_health_and_postbacks_answers_without_a_token(client: TestClient) -> None:
    open_routes = {"/healthz", "/readyz", "/postbacks/kite"}
    paths = client.get("/openapi.json").json()["paths"] | {"/openapi.json": ["get"]}
    del client.headers["Authorization"]
    checked = 0
    for path, operations in paths.items():
        for method in operations:
            if path not in open_routes:
                url = path.replace("{intent_id}", str(new_id())).replace("{user_broker_id}", "paper")
                answer = client.request(method.upper(), url)
                assert answer.status_code == 401, f"{method} {path}"
                checked += 1
    assert checked >= 12


def test_a_reader_may_look_but_not_touch(client: TestClient, exit_engine: Engine) -> None:
    client.headers["Authorization"] = "Bearer reader-token"
    assert client.get("/exits/pending").status_code == 200
    refused = client.post("/exits", json={"trade_id": _trade(exit_engine), "reason_note": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_bad_input_gets_a_problem_that_names_the_field(client: TestClient) -> None:
    answer = client.post("/exits", json={"trade_id": "x", "reason_note": "", "more": 1})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"body.trade_id", "body.reason_note", "body.more"}
    assert client.get("/exits/pending", params={"status": "FILLED"}).json()["code"] == "invalid_input"


@pytest.mark.parametrize("path", ["/exits", "/exits/pending"])
@pytest.mark.parametrize("asked", [{"symbol": "NSE:\0"}, {"symbol": "infy"}, {"user_broker_id": "a\0"}])
def test_a_filter_that_nothing_can_match_is_refused(client: TestClient, path: str, asked: dict[str, str]) -> None:
    answer = client.get(path, params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/exits", {"trade_id": str(new_id()), "reason_note": "a\0b"}, "reason_note"),
        ("PUT", "/kill-switch", {"mode": "ALL", "reason": "\0"}, "reason"),
        ("PUT", "/rollout", {"mode": "dark", "reason": "\0"}, "reason"),
        ("PUT", "/brokers/paper", BROKER | {"account": "A\0"}, "account"),
        ("PUT", "/brokers/paper", BROKER | {"root_url": "http://a\0"}, "root_url"),
        ("PUT", "/brokers/paper", BROKER | {"reason": "a\0"}, "reason"),
    ],
)
def test_a_text_that_cannot_be_stored_is_refused(
    client: TestClient, method: str, path: str, body: dict[str, str], field: str
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [f"body.{field}"]


def test_a_reason_may_have_several_lines(client: TestClient) -> None:
    assert client.put("/kill-switch", json={"mode": "OFF", "reason": "first\nsecond\n"}).status_code == 200


def test_a_key_that_cannot_be_stored_is_refused(client: TestClient, exit_engine: Engine) -> None:
    body = {"trade_id": _trade(exit_engine), "reason_note": "x"}
    assert client.post("/exits", json=body, headers={"Idempotency-Key": "a\0"}).status_code == 422


def test_a_filled_intent_of_an_older_version_shows_no_error(client: TestClient, exit_engine: Engine) -> None:
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus.FILLED, timedelta(0))
        put_intent(connection, IntentStatus.FAILED, timedelta(0))
        stored = connection.execute(text("SELECT DISTINCT error_code FROM exit_intents")).scalars().all()
    assert stored == ["X"]
    items = client.get("/exits").json()["items"]
    assert {item["status"]: item["error_code"] for item in items} == {"FILLED": None, "FAILED": "X"}


def test_an_intent_is_found_by_its_unique_key(client: TestClient, exit_engine: Engine) -> None:
    trade_id = _trade(exit_engine)
    intent = _exit(client, trade_id)
    with exit_engine.connect() as connection:
        repository = ExitIntentRepository(connection)
        stored = repository.get(UUID(str(intent["intent_id"])))
        found = repository.find_by_unique_key(
            stored.trade_id, stored.user_broker_id, stored.exit_reason, stored.episode_id
        )
    assert found == stored


def test_lists_filter_by_reason_and_age_and_reverse_order(client: TestClient, exit_engine: Engine) -> None:
    made = [str(_exit(client, _trade(exit_engine))["intent_id"]) for _ in range(3)]

    def listed(path: str, **query: str | int) -> list[str]:
        return [item["intent_id"] for item in client.get(path, params=query).json()["items"]]

    assert listed("/exits/pending", exit_reason="MANUAL", older_than_s=0) == made
    assert listed("/exits/pending", exit_reason="TARGET") == []
    assert listed("/exits/pending", older_than_s=3600) == []
    assert listed("/exits", order="newest", exit_reason="MANUAL") == made[::-1]
    first = client.get("/exits", params={"order": "newest", "limit": 2}).json()
    assert [item["intent_id"] for item in first["items"]] == made[:0:-1]
    assert listed("/exits", order="newest", cursor=first["next"]) == made[:1]
    assert client.get("/exits", params={"cursor": first["next"]}).status_code == 422


def test_pending_exits_are_counted_by_status_whatever_status_is_listed(client: TestClient, exit_engine: Engine) -> None:
    for _ in range(2):
        _exit(client, _trade(exit_engine))
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus.PLACED, timedelta(0))
        put_intent(connection, IntentStatus.FILLED, timedelta(0))

    def counts(**query: str | int | bool) -> Any:
        return client.get("/exits/pending", params={"counts": True, "limit": 1, **query}).json()["counts"]

    whole = {"total": 3, "by_status": {"APPROVED": 2, "PLACED": 1}, "is_whole": True}
    assert counts() == counts(status="PLACED") == whole
    assert counts(exit_reason="MANUAL") == {"total": 2, "by_status": {"APPROVED": 2}, "is_whole": True}
    assert counts(symbol="NSE:NONE") == counts(older_than_s=3600) == {"total": 0, "by_status": {}, "is_whole": True}
    assert client.get("/exits/pending").json()["counts"] is None


def test_an_exit_is_found_by_the_ids_of_its_order(client: TestClient, exit_engine: Engine) -> None:
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus.PLACED, timedelta(0))
        connection.execute(text("UPDATE exit_intents SET broker_order_id = 'B7', version = version + 1"))
    _exit(client, _trade(exit_engine))

    def found(order_id: str) -> list[str]:
        return [item["broker_order_id"] for item in client.get("/exits", params={"order_id": order_id}).json()["items"]]

    tag = client.get("/exits", params={"status": "PLACED"}).json()["items"][0]["client_order_id"]
    assert found("B7") == found(tag) == ["B7"]
    assert found("B8") == client.get("/protective-stops", params={"order_id": "B8"}).json()["items"] == []


def test_trades_are_listed_by_the_distance_to_their_stop(client: TestClient, exit_engine: Engine) -> None:
    plans = {"NSE:NEAR": "999.00", "NSE:FAR": "900.00", "NSE:PASSED": "1001.00"}
    with exit_engine.connect() as connection:
        for symbol, price in plans.items():
            project(connection, opened(symbol=symbol, entry="1010.00", plan={"stop_loss": price}))
        project(connection, opened(symbol="NSE:NEAR", plan={"target": "1100.00"}))
        project(connection, opened(symbol="NSE:QUIET", plan={"stop_loss": "999.00"}))
        states = [SymbolCheckpoint(symbol, 0, SymbolState(1000_0000, 1, 1)) for symbol in plans]
        TickCheckpointRepository(connection).save_symbols(states)
        connection.commit()
    found = client.get("/exits/nearest").json()["items"]
    assert [(each["symbol"], each["distance"]) for each in found] == [
        ("NSE:PASSED", "-1.00"), ("NSE:NEAR", "1.00"), ("NSE:FAR", "100.00"),
    ]  # fmt: skip
    (near,) = client.get("/exits/nearest", params={"symbol": "NSE:NEAR"}).json()["items"]
    assert (near["stop_loss"], near["last_price"], near["direction"]) == ("999.00", "1000.00", "LONG")


def test_too_many_pending_exits_are_not_counted_to_the_end(
    client: TestClient, exit_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exit_qualification.storage.pending_counts.MOST_COUNTED", 1)
    for _ in range(3):
        _exit(client, _trade(exit_engine))
    with sent_statements() as statements:
        found = client.get("/exits/pending", params={"counts": True}).json()["counts"]
    assert found == {"total": 1, "by_status": {}, "is_whole": False}
    assert len([each for each in statements if "pending_counts" in each]) == 1


def test_page_of_pending_exits_costs_few_statements_and_bytes(client: TestClient, exit_engine: Engine) -> None:
    for _ in range(3):
        _exit(client, _trade(exit_engine))
    assert client.get("/exits/pending").status_code == 200  # with the extra statements of a connection's first use
    with sent_statements() as statements:
        brief = client.get("/exits/pending", params={"gates": "held", "limit": 2})
    assert len([each for each in statements if "SELECT" in each]) == 1, statements
    whole = client.get("/exits/pending", params={"limit": 2})
    for short, long in zip(brief.json()["items"], whole.json()["items"], strict=True):
        held = [gate for gate in long["gates"] if gate["verdict"] != "PASS"]
        assert short["gates"] == held != long["gates"]
        assert short["gates_passed"] == long["gates_passed"] == len(long["gates"]) - len(held)
    assert len(brief.content) < 2_000 * 2
