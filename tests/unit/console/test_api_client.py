"""An API that freezes is told soon; one that is slow is waited for."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from services.console import api_client
from services.console.api_client import Api, ApiFault


class Transport(httpx.AsyncBaseTransport):
    """An API that needs some seconds for an answer; frozen, it never gives one."""

    def __init__(self, takes_s: float, *, is_frozen: bool = False) -> None:
        self._takes_s = takes_s
        self._is_frozen = is_frozen
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the API does."""
        self.asked.append(request.url.path)
        limit_s = request.extensions["timeout"]["read"]
        if self._is_frozen:
            await asyncio.sleep(limit_s)
            raise httpx.ReadTimeout("", request=request)
        if request.url.path != "/healthz":
            await asyncio.sleep(self._takes_s)
        return httpx.Response(200, json={"answered": True})


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "PATIENCE_S", 0.02)
    monkeypatch.setattr(api_client, "ALIVE", httpx.Timeout(0.02))


def test_a_quick_api_is_asked_once() -> None:
    transport = Transport(0)
    assert asyncio.run(Api("exit-api", "http://api", transport).get("token", "/exits")) == {"answered": True}
    assert transport.asked == ["/exits"]


def test_a_slow_api_is_waited_for() -> None:
    transport = Transport(0.1)
    assert asyncio.run(Api("exit-api", "http://api", transport).get("token", "/exits")) == {"answered": True}
    assert transport.asked == ["/exits", "/healthz"]


@pytest.mark.parametrize(("method", "advice"), [("get", "look at the System page"), ("post", "outcome")])
def test_a_frozen_api_is_told_before_its_time_is_over(method: str, advice: str) -> None:
    api = Api("exit-api", "http://api", Transport(0, is_frozen=True))
    asking = api.get("token", "/exits") if method == "get" else api.post("token", "/exits", {})
    with pytest.raises(ApiFault, match="did not answer") as raised:
        asyncio.run(asyncio.wait_for(asking, 4))
    assert advice in raised.value.advice
