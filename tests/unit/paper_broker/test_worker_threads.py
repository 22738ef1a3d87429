"""Hops to worker threads: each costs more than its look-up."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest
from pydantic import SecretStr

from services.paper_broker.app import create_broker_app
from services.paper_broker.desk import change
from services.paper_broker.process import open_desk
from services.paper_broker.quotes import PriceTick
from shared.runtime.health import Health
from shared.settings import Settings

CREDENTIALS = '{"paper": {"api_key": "key", "api_secret": "secret", "access_token": "token"}}'
HEADERS = {"Authorization": "token key:token", "X-Kite-Version": "3"}
ORDER = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "SELL",
    "quantity": "10",
    "product": "MIS",
    "order_type": "MARKET",
    "validity": "DAY",
    "market_protection": "-1",
}


def test_placing_and_reading_order_never_hop_without_other_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops: list[Any] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(call: Any, *arguments: Any, **named: Any) -> Any:
        hops.append(call)
        return await run_sync(call, *arguments, **named)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)

    async def hops_of(client: httpx.AsyncClient, method: str, path: str, form: dict[str, str] | None = None) -> Any:
        hops.clear()
        answer = await client.request(method, path, data=form, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return len(hops), answer.json()["data"]

    async def play() -> None:
        settings = Settings(broker_credentials=SecretStr(CREDENTIALS), paper_broker_dir=tmp_path)
        with open_desk(settings) as desk:
            desk.broker.take_market([PriceTick("NSE:INFY", 1520_0000, at_us=1, seq=1)])
            transport = httpx.ASGITransport(create_broker_app(desk, Health()))
            async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
                placing, placed = await hops_of(client, "POST", "/orders/regular", ORDER)
                reading, states = await hops_of(client, "GET", f"/orders/{placed['order_id']}")
                fills, trades = await hops_of(client, "GET", f"/orders/{placed['order_id']}/trades")
        assert [states[-1]["status"], trades[0]["quantity"]] == ["COMPLETE", 10]
        assert (placing, reading, fills) == (0, 0, 0)

    asyncio.run(play())


def test_waiting_change_runs_in_its_own_thread(tmp_path: Path) -> None:
    async def play() -> bool:
        settings = Settings(broker_credentials=SecretStr(CREDENTIALS), paper_broker_dir=tmp_path)
        with open_desk(settings) as desk:
            loop_thread = threading.get_ident()
            assert await change(desk, threading.get_ident) == loop_thread
            with desk.ledger.write():
                return await change(desk, threading.get_ident) != loop_thread

    assert asyncio.run(play())
