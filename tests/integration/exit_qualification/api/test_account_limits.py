"""Loss limits over HTTP: set, shown, removed; a held account is shown and released."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.contracts.vocabulary import Direction
from shared.postgres.audit import Act
from tests.integration.exit_qualification.api.test_exit_api import BROKER, client
from tests.support.trades import opened, project

__all__ = ["client"]

PATH = "/brokers/paper/loss-limit"
LIMIT = {"loss_limit": "1000.00", "basis": "PEAK", "reason": "policy"}


def hold(engine: Engine) -> None:
    with engine.begin() as connection:
        SwitchRepository(connection).hold_entries("paper", "lost 1000.00", Act("exit-orders", "lost 1000.00"), {})


def test_limit_is_shown_with_current_profit_and_loss(client: TestClient, exit_engine: Engine) -> None:
    assert client.get(PATH).json()["loss_limit"] is None
    with exit_engine.connect() as connection:
        project(connection, opened(), opened(Direction.SHORT, symbol="NSE:SBIN", quantity=10), opened(symbol="NSE:TCS"))
        for symbol, price in (("NSE:INFY", "998.50"), ("NSE:SBIN", "1002.00")):
            connection.execute(
                text("INSERT INTO tick_symbols (symbol, partition, last_price, last_ts, last_seq) "
                     "VALUES (:symbol, 0, :price, clock_timestamp(), 1)"),
                {"symbol": symbol, "price": Decimal(price)},
            )  # fmt: skip
        connection.commit()
    assert client.put(PATH, json=LIMIT).status_code == 200
    shown = client.get(PATH).json()
    assert (shown["loss_limit"], shown["basis"], shown["loss"]) == ("1000.00", "PEAK", "170.00")
    assert (shown["realised_pnl"], shown["unrealised_pnl"], shown["unpriced_trades"]) == ("0.00", "-170.00", 1)
    assert shown["entries_held_since"] is None


def test_a_limit_can_be_removed(client: TestClient) -> None:
    client.put(PATH, json=LIMIT)
    assert client.put(PATH, json={"loss_limit": None, "reason": "over"}).json()["loss_limit"] is None


@pytest.mark.parametrize("wrong", [{"loss_limit": "0"}, {"loss_limit": "-1"}, {"basis": "WEEK"}, {"reason": ""}])
def test_a_limit_that_makes_no_sense_is_refused(client: TestClient, wrong: dict[str, str]) -> None:
    assert client.put(PATH, json=LIMIT | wrong).status_code == 422


def test_an_unknown_account_has_no_limit(client: TestClient) -> None:
    for answer in (client.get("/brokers/papier/loss-limit"), client.put("/brokers/papier/loss-limit", json=LIMIT)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_held_account_is_shown_and_released_once(client: TestClient, exit_engine: Engine) -> None:
    hold(exit_engine)
    shown = client.get("/brokers/paper").json()
    assert shown["entries_held_since"] is not None
    assert shown["entries_held_reason"] == "lost 1000.00"
    body, headers = {"reason": "limit raised"}, {"Idempotency-Key": "once"}
    for _ in range(2):
        released = client.post("/brokers/paper/release", json=body, headers=headers)
        assert (released.status_code, released.json()["entries_held_since"]) == (200, None)
    again = client.post("/brokers/paper/release", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "account_not_held")


def test_a_changed_account_stays_held(client: TestClient, exit_engine: Engine) -> None:
    hold(exit_engine)
    put = client.put("/brokers/paper", json=BROKER | {"status": "DISCONNECTED"})
    assert put.json()["entries_held_since"] is not None
    with exit_engine.connect() as connection:
        told = connection.execute(text("SELECT convert_from(payload, 'UTF8')::jsonb ->> 'entries_held_reason' "
                                       "FROM outbox_event ORDER BY id DESC LIMIT 1")).scalar_one()  # fmt: skip
    assert told == "lost 1000.00"


def test_a_reader_sets_and_releases_nothing(client: TestClient) -> None:
    client.headers["Authorization"] = "Bearer reader-token"
    assert client.get(PATH).status_code == 200
    assert client.put(PATH, json=LIMIT).status_code == 403
    assert client.post("/brokers/paper/release", json={"reason": "x"}).status_code == 403
