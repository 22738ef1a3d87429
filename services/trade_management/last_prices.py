"""Last prices of symbols, asked of exit-api: a guard against plans that would exit at once."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from services.trade_management.metrics import PRICES_UNKNOWN
from shared.clock import Clock
from shared.money import Money
from shared.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 3.0
KEPT_S = 0.5
"""Time for which an answer is used again, so that a burst of trades on a symbol asks once."""
PAUSE_S = 5.0
"""Time without questions after exit-api did not answer, so that its outage delays no opening again and again."""
MOST_KEPT = 10_000


class LastPrices(Protocol):
    """Source of last prices."""

    def of(self, symbol: str) -> Decimal | None:
        """Return the last price of a symbol in rupees; None if it is not known."""
        ...


class NoLastPrices:
    """No prices are known: plans are compared with the entry alone."""

    def of(self, symbol: str) -> Decimal | None:  # noqa: ARG002  # the protocol's parameter
        """Return None."""
        return None


class _Answer(BaseModel):
    last_price: Money


class ExitApiPrices:
    """Prices of exit-api over HTTP, with a token of scope read. Thread-safe.

    An exit-api that does not answer must not stop trades from being opened: the price then counts as unknown, with a
    warning and `trade_last_prices_unknown_total`.
    """

    def __init__(self, url: str, token: str, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,  # a proxy for the web must not see tokens of ours
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Decimal | None]] = {}
        self._asks_from_s = 0.0

    def of(self, symbol: str) -> Decimal | None:
        """Return the last price of a symbol; None without a tick, or if exit-api does not answer."""
        now_s = self._clock.monotonic()
        with self._lock:
            until_s, price = self._kept.get(symbol, (0.0, None))
            if now_s < until_s:
                return price
            if now_s < self._asks_from_s:
                PRICES_UNKNOWN.inc()
                return None
        return self._ask(symbol, now_s)

    def _ask(self, symbol: str, now_s: float) -> Decimal | None:
        try:
            price = self._answer(symbol)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("exit-api does not tell last prices, plans are not compared with them: %s", error)
            PRICES_UNKNOWN.inc()
            with self._lock:
                self._asks_from_s = now_s + PAUSE_S
            return None
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[symbol] = (now_s + KEPT_S, price)
        return price

    def _answer(self, symbol: str) -> Decimal | None:
        answer = self._client.get(f"/prices/{quote(symbol, safe='')}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        return _Answer.model_validate_json(answer.raise_for_status().content).last_price


def last_prices(settings: Settings, clock: Clock) -> LastPrices:
    """Return the prices that the settings name; none without `last_prices_token`."""
    if settings.last_prices_token is None:
        return NoLastPrices()
    return ExitApiPrices(settings.exit_api_url, settings.last_prices_token.get_secret_value(), clock)
