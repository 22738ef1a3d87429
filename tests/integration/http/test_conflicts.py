"""Serialization failures and deadlocks are repeated within a request; only lasting ones reach the client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from shared.http.conflicts import ATTEMPTS
from shared.ids import new_id
from tests.integration.http.conftest import SCHEMAS, Api

TRADE = {
    "symbol": "NSE:INFY",
    "direction": "LONG",
    "product_type": "MIS",
    "quantity": 1,
    "entry_price": "1000",
    "user_broker_id": "paper",
    "exit_plan": {"target": "1010"},
}
BROKER = {"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "CONNECTED", "reason": "test"}

WRITES = [
    ("trade-api", "POST", "/trades", TRADE, "trades"),
    ("trade-api", "POST", "/outbox/shards/1/pause", {"reason": "x"}, "audit_log"),
    ("exit-api", "POST", "/outbox/shards/1/resume", {"reason": "x"}, "audit_log"),
    ("exit-api", "PUT", "/kill-switch", {"mode": "OFF", "reason": "x"}, "audit_log"),
    ("exit-api", "PUT", "/rollout", {"mode": "full", "reason": "x"}, "audit_log"),
    ("exit-api", "PUT", "/brokers/paper", BROKER, "audit_log"),
]
CODES = ["40001", "40P01"]


@contextmanager
def failing(api: Api, table: str, code: str, times: int) -> Iterator[None]:
    """While inside, the next `times` inserts into a table fail; a sequence counts them, because it never rolls back."""
    schema, name = SCHEMAS[api.name], f"f{new_id().hex}"
    with psycopg.connect(api.database.admin_url, autocommit=True) as admin:
        admin.execute(f"SET search_path = {schema}")
        admin.execute(f"CREATE SEQUENCE {name}")
        admin.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path = {schema} AS $$"
            f" BEGIN IF nextval('{name}') <= {times} THEN RAISE EXCEPTION 'on request' USING ERRCODE = '{code}';"
            f" END IF; RETURN NEW; END $$"
        )
        admin.execute(f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
        try:
            yield
        finally:
            admin.execute(f"DROP FUNCTION {name} CASCADE")
            admin.execute(f"DROP SEQUENCE {name}")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("name", "method", "path", "body", "table"), WRITES)
def test_a_conflict_that_passes_is_not_seen(
    apis: dict[str, Api], name: str, method: str, path: str, body: dict[str, object], table: str, code: str
) -> None:
    api = apis[name]
    headers = {"Idempotency-Key": str(new_id())} if path == "/trades" else {}
    with failing(api, table, code, times=ATTEMPTS - 1):
        answer = api.client.request(method, path, json=body, headers=headers)
    assert answer.is_success, answer.text
    assert "idempotent-replay" not in answer.headers


@pytest.mark.parametrize("code", CODES)
def test_a_conflict_that_lasts_is_503_and_leaves_nothing(apis: dict[str, Api], code: str) -> None:
    api = apis["trade-api"]
    before = api.client.get("/trades", params={"limit": 500}).json()["items"]
    with failing(api, "trades", code, times=ATTEMPTS):
        answer = api.client.post("/trades", json=TRADE)
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "unavailable", True)
    assert api.client.get("/trades", params={"limit": 500}).json()["items"] == before
