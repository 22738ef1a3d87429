from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal

import httpx
import pytest

from services.trade_management.api.market_questions import MarketQuestions
from services.trade_management.domain.trade import UNKNOWN_MARKET, Market
from services.trade_management.markets import KEPT_S, PAUSE_S, ExitApiMarkets
from tests.support.clocks import SteppedClock
from tests.support.waiting import LIMIT_S


def prices_of(
    answer: Callable[[httpx.Request], httpx.Response], clock: SteppedClock
) -> tuple[ExitApiMarkets, list[str]]:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return answer(request)

    return ExitApiMarkets("http://exit-api", "secret", clock, httpx.MockTransport(handle)), asked


def test_price_is_requested_with_token_and_cached_briefly() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        return httpx.Response(200, json={"symbol": "NSE:NIFTY 50", "last_price": "24000.05", "tick_size": "0.05"})

    clock = SteppedClock()
    prices, asked = prices_of(answer, clock)
    assert [prices.of("NSE:NIFTY 50"), prices.of("NSE:NIFTY 50")] == [Market(Decimal("24000.05"), Decimal("0.05"))] * 2
    clock.at_s += KEPT_S
    prices.of("NSE:NIFTY 50")
    assert asked == ["/prices/NSE%3ANIFTY%2050"] * 2


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(401), httpx.Response(200, text="[]"), httpx.ConnectError("refused")]
)
def test_silent_exit_api_is_not_asked_for_a_while(answer: httpx.Response | Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = SteppedClock()
    prices, asked = prices_of(fail, clock)
    assert [prices.of("NSE:INFY"), prices.of("NSE:TCS")] == [UNKNOWN_MARKET] * 2
    assert len(asked) == 1
    clock.at_s += PAUSE_S
    prices.of("NSE:TCS")
    assert len(asked) == 2


def test_a_symbol_without_a_tick_has_no_price() -> None:
    prices, asked = prices_of(lambda _: httpx.Response(404), SteppedClock())
    assert [prices.of("NSE:INFY"), prices.of("NSE:TCS")] == [UNKNOWN_MARKET] * 2
    assert len(asked) == 2


def test_concurrent_requests_on_a_symbol_ask_once() -> None:
    may_answer = threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        assert may_answer.wait(LIMIT_S)
        return httpx.Response(200, json={"last_price": "100"})

    prices, asked = prices_of(answer, SteppedClock())

    async def ask() -> list[Market]:
        questions = MarketQuestions(prices)
        asking = [asyncio.ensure_future(questions.of(symbol)) for symbol in ("NSE:A", "NSE:A", "NSE:B", "NSE:A")]
        await asyncio.sleep(0)
        asking[0].cancel()
        may_answer.set()
        return await asyncio.gather(*asking[1:])

    assert asyncio.run(ask()) == [Market(Decimal(100))] * 3
    assert sorted(asked) == ["/prices/NSE%3AA", "/prices/NSE%3AB"]
