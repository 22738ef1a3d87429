"""Markets of symbols, asked of exit-api: last price and terms of the instrument, for checking trades and plans."""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from services.trade_management.domain.trade import UNKNOWN_MARKET, Market
from services.trade_management.metrics import PRICES_UNKNOWN
from shared.clock import Clock
from shared.http.clients import open_client
from shared.money import Money
from shared.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 3.0
KEPT_S = 0.5
"""Lifetime of an answer: a burst of trades on a symbol asks once."""
PAUSE_S = 5.0
"""Time without questions after a silence of exit-api: its outage delays no opening again and again."""
MOST_KEPT = 10_000


class Markets(Protocol):
    """Source of facts about markets."""

    def of(self, symbol: str) -> Market:
        """Return the known facts of a symbol's market; may wait for an answer."""
        ...

    def kept(self, symbol: str) -> Market | None:
        """Return the answer of `of` if it needs no waiting; None if it has to ask."""
        ...


class NoMarkets:
    """Nothing is known: plans are compared with the entry alone."""

    def of(self, symbol: str) -> Market:  # noqa: ARG002  # the protocol's parameter
        """Return the unknown market."""
        return UNKNOWN_MARKET

    def kept(self, symbol: str) -> Market:
        """Return the unknown market."""
        return self.of(symbol)


class _Answer(BaseModel):
    last_price: Money | None = None
    tick_size: Money | None = None
    lot_size: int | None = None
    freeze_quantity: int | None = None


class ExitApiMarkets:
    """Facts of exit-api over HTTP, with a token of scope read. Thread-safe.

    A silent exit-api must not stop trades from being opened: the market then counts as unknown, with a
    warning and `trade_last_prices_unknown_total`.
    """

    def __init__(self, url: str, token: str, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._client = open_client(url, {"Authorization": f"Bearer {token}"}, TIMEOUT_S, transport)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Market]] = {}
        self._asks_from_s = 0.0

    def of(self, symbol: str) -> Market:
        """Return exit-api's facts about a symbol; nothing if it does not answer."""
        kept = self.kept(symbol)
        return self._ask(symbol) if kept is None else kept

    def kept(self, symbol: str) -> Market | None:
        """Return a recent answer, or the unknown market while exit-api is not asked; None if it has to be asked."""
        now_s = self._clock.monotonic()
        with self._lock:
            until_s, market = self._kept.get(symbol, (0.0, UNKNOWN_MARKET))
            if now_s < until_s:
                return market
            if now_s < self._asks_from_s:
                PRICES_UNKNOWN.inc()
                return UNKNOWN_MARKET
        return None

    def _ask(self, symbol: str) -> Market:
        now_s = self._clock.monotonic()
        try:
            market = self._answer(symbol)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("exit-api does not tell last prices, plans are not compared with them: %s", error)
            PRICES_UNKNOWN.inc()
            with self._lock:
                self._asks_from_s = now_s + PAUSE_S
            return UNKNOWN_MARKET
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[symbol] = (now_s + KEPT_S, market)
        return market

    def _answer(self, symbol: str) -> Market:
        answer = self._client.get(f"/prices/{quote(symbol, safe='')}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return UNKNOWN_MARKET
        told = _Answer.model_validate_json(answer.raise_for_status().content)
        return Market(told.last_price, told.tick_size, told.lot_size, told.freeze_quantity)


def markets_of(settings: Settings, clock: Clock) -> Markets:
    """Return the source named by the settings; an empty one without `last_prices_token`."""
    if settings.last_prices_token is None:
        return NoMarkets()
    return ExitApiMarkets(settings.exit_api_url, settings.last_prices_token.get_secret_value(), clock)
