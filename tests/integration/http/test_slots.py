"""Many requests on few connections: each is served, and a known token is not looked up each time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from shared.http.auth import KNOWN_S, KnownTokens, Scope, store_token
from shared.http.slots import RequestSlots
from shared.postgres.engine import open_engine
from tests.integration.http.conftest import AUTHORIZATION, SCHEMAS, Api
from tests.support.clocks import SteppedClock

CONNECTIONS = 2
PARALLEL = 48
BODY: dict[str, Any] = {
    "symbol": "NSE:INFY",
    "direction": "LONG",
    "product_type": "MIS",
    "quantity": 100,
    "entry_price": "1000.00",
    "user_broker_id": "paper",
    "exit_plan": {"target": "1010.00"},
}


@pytest.fixture
def trades(apis: dict[str, Api]) -> Iterator[Api]:
    """Trade-api with a pool without time to wait for a connection."""
    api = apis["trade-api"]
    engine = open_engine(api.database.trade_url, "trade_management", application="test", pool_size=CONNECTIONS)
    engine.pool._timeout = 0.0  # type: ignore[attr-defined]  # there is no public way
    before = api.app.state.slots, api.app.state.context
    api.app.state.slots = RequestSlots(CONNECTIONS, 60)
    api.app.state.context = replace(before[1], engine=engine)
    yield api
    api.app.state.slots, api.app.state.context = before
    engine.dispose()


def test_more_parallel_requests_than_connections_are_all_served(trades: Api) -> None:
    async def ask() -> list[int]:
        transport = httpx.ASGITransport(trades.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=AUTHORIZATION) as http:
            asked = [http.post("/trades", json=BODY) for _ in range(PARALLEL)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [201] * PARALLEL


def test_token_is_looked_up_again_and_rejected_once_expired(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppedClock()
    monkeypatch.setattr(api.app.state, "known_tokens", KnownTokens(clock))
    lookups: list[str] = []
    event.listen(api.engine, "before_cursor_execute", lambda *told: lookups.append(told[2]))
    admin = open_engine(api.database.migrator_url, SCHEMAS[api.name], application="test")
    with admin.begin() as connection:
        store_token(connection, "short-lived", "bela", [Scope.READ])
    ask = partial(api.client.get, "/whoami", headers={"Authorization": "Bearer short-lived"})
    assert [ask().status_code for _ in range(5)] == [200] * 5
    with admin.begin() as connection:
        connection.execute(text("UPDATE api_tokens SET expires_at = now() WHERE name = 'bela'"))
    admin.dispose()
    assert ask().status_code == 200
    clock.at_s += KNOWN_S
    assert [ask().status_code for _ in range(2)] == [401] * 2
    assert len([statement for statement in lookups if "api_tokens.find" in statement]) == 3
