"""Where orders and credentials go: scope admin and listed hosts alone, and a wrong address can be put right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine, text

from services.exit_qualification.api.app import create
from shared.clock import SystemClock
from shared.contracts.vocabulary import IntentStatus
from shared.http.auth import Scope, store_token
from shared.postgres.engine import open_engine
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.exit_qualification.intent_rows import put_intent
from tests.support.servers import Database

HERE = {"account": "PAPER", "root_url": "http://127.0.0.1:1", "status": "CONNECTED", "reason": "test"}
ADMIN = {"Authorization": "Bearer admin-token"}


@pytest.fixture
def client(database: Database, exit_engine: Engine) -> Iterator[TestClient]:
    """An operator's client; `ADMIN` makes a call an administrator's."""
    owner = open_engine(database.admin_url, "exit_qualification", application="test")
    with owner.begin() as connection:
        store_token(connection, "operator-token", "ops-desk", [Scope.READ, Scope.TRADE, Scope.OPERATE])
        store_token(connection, "admin-token", "adam", list(Scope))
    owner.dispose()
    settings = Settings(exit_database_url=SecretStr(database.exit_url), broker_hosts="api.kite.trade,127.0.0.1")
    with TestClient(create(settings, exit_engine, Health(), SystemClock())) as http:
        http.headers["Authorization"] = "Bearer operator-token"
        yield http


@pytest.mark.parametrize("change", [{"account": "OTHER"}, {"root_url": "http://127.0.0.1:2"}])
def test_an_operator_cannot_change_where_a_broker_is(client: TestClient, change: dict[str, str]) -> None:
    refused = client.put("/brokers/paper", json=HERE | change)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "admin" in refused.json()["detail"]
    assert client.get("/brokers/paper").json()["root_url"] == HERE["root_url"]
    assert client.put("/brokers/paper", json=HERE | change, headers=ADMIN).status_code == 200


def test_an_operator_cannot_add_a_broker(client: TestClient) -> None:
    assert client.put("/brokers/second", json=HERE).status_code == 403
    assert client.get("/brokers/second").status_code == 404
    assert client.put("/brokers/second", json=HERE, headers=ADMIN).status_code == 200


def test_a_broker_without_an_adapter_is_refused(client: TestClient) -> None:
    refused = client.put("/brokers/second", json=HERE | {"broker": "acme"}, headers=ADMIN)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


def test_an_operator_disconnects_and_connects(client: TestClient) -> None:
    for status in ("DISCONNECTED", "CONNECTED"):
        assert client.put("/brokers/paper", json=HERE | {"status": status}).status_code == 200
        assert client.get("/brokers/paper").json()["status"] == status


@pytest.mark.parametrize(
    "root_url", ["https://evil.example", "http://api.kite.trade", "http://127.0.0.1.evil.example", "http://10.0.0.1"]
)
def test_an_administrator_cannot_name_a_host_that_is_not_listed(client: TestClient, root_url: str) -> None:
    refused = client.put("/brokers/paper", json=HERE | {"root_url": root_url}, headers=ADMIN)
    assert (refused.status_code, refused.json()["code"]) == (422, "broker_host_refused")
    assert client.get("/brokers/paper").json()["root_url"] == HERE["root_url"]


@pytest.mark.parametrize("status", ["UNKNOWN", "FAILED", "CANCELLED"])
def test_a_confirmed_wrong_address_can_be_corrected(client: TestClient, exit_engine: Engine, status: str) -> None:
    there = HERE | {"root_url": "http://127.0.0.1:2"}
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus(status), timedelta(0), broker_order_id=None)
    refused = client.put("/brokers/paper", json=there, headers=ADMIN)
    assert (refused.status_code, refused.json()["without_order"]) == (409, 1)
    assert "orders_not_sent" in refused.json()["detail"]
    assert client.put("/brokers/paper", json=there | {"orders_not_sent": True}, headers=ADMIN).status_code == 200
    with exit_engine.connect() as connection:
        row = connection.execute(text("SELECT after FROM audit_log ORDER BY audit_id DESC LIMIT 1")).one()
    assert (row.after["root_url"], row.after["orders_not_sent"]) == (there["root_url"], True)


@pytest.mark.parametrize("status", ["SUBMITTING", "PLACED", "PARTIALLY_FILLED", "CANCELLED"])
def test_confirmation_does_not_release_an_order_at_the_broker(
    client: TestClient, exit_engine: Engine, status: str
) -> None:
    with exit_engine.begin() as connection:
        put_intent(connection, IntentStatus(status), timedelta(0), None if status == "SUBMITTING" else "B1")
    body = HERE | {"root_url": "http://127.0.0.1:2", "orders_not_sent": True}
    refused = client.put("/brokers/paper", json=body, headers=ADMIN)
    assert (refused.status_code, refused.json()["code"]) == (409, "broker_in_use")
