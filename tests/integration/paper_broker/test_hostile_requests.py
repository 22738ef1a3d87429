"""Whatever a client sends, the paper broker answers in Kite's form and keeps its ledger readable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from services.paper_broker.app import create_broker_app
from services.paper_broker.process import open_desk
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.paper_broker.conftest import ACCESS_TOKEN, API_KEY, CREDENTIALS
from tests.support.hostile import BODIES, CONTENT_TYPES, JSON, TEXTS, VALUES

ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": "1",
    "product": "MIS",
    "order_type": "LIMIT",
    "price": "10",
    "validity": "DAY",
    "market_protection": "-1",
    "tag": "t",
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A client with valid credentials of a broker in this process."""
    settings = Settings(paper_broker_dir=tmp_path, broker_credentials=SecretStr(CREDENTIALS))
    with open_desk(settings) as desk:
        http = TestClient(create_broker_app(desk, Health()), raise_server_exceptions=False)
        http.headers["Authorization"] = f"token {API_KEY}:{ACCESS_TOKEN}"
        yield http


def ask(client: TestClient, method: str, path: str, **options: object) -> None:
    """Assert an answer in JSON to a request, without an error of the broker."""
    answer = client.request(method, path, **options)  # type: ignore[arg-type]  # whatever httpx takes
    assert answer.status_code < 500, f"{method} {path[:80]} {str(options)[:200]}: {answer.text[:200]}"
    answer.json()


def test_a_hostile_fault_is_answered_and_leaves_the_ledger_readable(client: TestClient) -> None:
    for body in BODIES:
        ask(client, "POST", "/paper/faults", content=body, headers={"Content-Type": JSON})
    for content_type in CONTENT_TYPES:
        header = content_type.encode("latin-1")
        ask(client, "POST", "/paper/faults", content=b"{}", headers={"Content-Type": header})
    for value in VALUES:
        for fault in (
            f'{{"count": {value}, "effect": {{"kind": "reject"}}}}',
            f'{{"symbol": {value}, "effect": {{"kind": "reject", "message": {value}}}}}',
            f'{{"effect": {{"kind": "partial_fill", "quantity": {value}}}}}',
            f'{{"effect": {{"kind": "refuse", "http_status": {value}}}}}',
            f'{{"effect": {{"kind": {value}}}}}',
        ):
            ask(client, "POST", "/paper/faults", content=fault.encode(), headers={"Content-Type": JSON})
    assert client.get("/paper/faults").status_code == 200
    assert client.delete("/paper/faults").status_code == 200


def test_a_hostile_rule_or_order_id_is_answered(client: TestClient) -> None:
    for text in [*TEXTS, str(2**63), str(2**63 - 1), "0"]:
        segment = quote(text, safe="")
        for method, path in (
            ("DELETE", f"/paper/faults/{segment}"),
            ("GET", f"/orders/{segment}"),
            ("GET", f"/orders/{segment}/trades"),
            ("PUT", f"/orders/regular/{segment}"),
            ("DELETE", f"/orders/regular/{segment}"),
            ("GET", f"/instruments/{segment}"),
            ("GET", f"/user/margins/{segment}"),
        ):
            ask_any(client, method, path)
        ask(client, "GET", "/quote", params={"i": [text, "NSE:INFY"]} if len(text) < 4000 else {"i": text})


def ask_any(client: TestClient, method: str, path: str) -> None:
    """Assert the answer to a request to be no error of the broker."""
    answer = client.request(method, path)
    assert answer.status_code < 500, f"{method} {path[:80]}: {answer.text[:200]}"


def test_a_hostile_form_is_answered_and_leaves_the_books_readable(client: TestClient) -> None:
    for field in ORDER:
        for text in [*TEXTS, "1e1000000", "1e-1000000", "9" * 100_000, "Infinity", "-0", "1_0", ""]:
            ask(client, "POST", "/orders/regular", data=ORDER | {field: text})
    ask(client, "POST", "/orders/regular", content=b"%ff=%00&" * 5000, headers=FORM)
    ask(client, "POST", "/orders/regular", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data"})
    assert client.get("/orders").status_code == 200
    assert client.get("/portfolio/positions").status_code == 200


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
