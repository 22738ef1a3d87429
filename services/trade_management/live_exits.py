"""Live exits of symbols, asked of exit-api."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Protocol

import httpx

from shared.errors import Unavailable
from shared.http.clients import open_client
from shared.settings import Settings

TIMEOUT_S = 5.0


class ExitsNotKnown(Unavailable):
    """exit-api does not tell the live exits."""

    code = "exits_not_known"


class LiveExits(Protocol):
    """Source of live exits."""

    def of(self, symbol: str) -> list[str]:
        """Return trades on a symbol with a live exit; all of them if they are few.

        Raises
        ------
        ExitsNotKnown
            Nothing is known.
        """
        ...


class UnknownExits:
    """Nothing is known, as there is no token for exit-api."""

    def of(self, symbol: str) -> list[str]:
        """Raise ExitsNotKnown."""
        raise ExitsNotKnown(f"set EXITFLOW_LAST_PRICES_TOKEN: with it the exits of {symbol} can be asked of exit-api")


class ExitApiExits:
    """Exits of exit-api over HTTP, with a token of scope read. Thread-safe."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._client = open_client(url, {"Authorization": f"Bearer {token}"}, TIMEOUT_S, transport)

    def of(self, symbol: str) -> list[str]:
        """Return the trades with a live exit, of the first page with any."""
        cursor: str | None = None
        while True:
            page = self._page(symbol, cursor)
            live = sorted({item["trade_id"] for item in page["items"] if item["executable"]})
            cursor = page.get("next")
            if live or cursor is None:
                return live

    def _page(self, symbol: str, cursor: str | None) -> dict[str, Any]:
        wanted = {"symbol": symbol, **({} if cursor is None else {"cursor": cursor})}
        try:
            answer = self._client.get("/exits/pending", params=wanted)
        except httpx.HTTPError as error:
            raise ExitsNotKnown(f"exit-api does not answer: {error or type(error).__name__}") from error
        if answer.status_code != HTTPStatus.OK:
            raise ExitsNotKnown(f"exit-api answers {answer.status_code} when asked for the exits of {symbol}")
        page: dict[str, Any] = answer.json()
        return page


def live_exits_of(settings: Settings) -> LiveExits:
    """Return the source named by the settings."""
    if settings.last_prices_token is None:
        return UnknownExits()
    return ExitApiExits(settings.exit_api_url, settings.last_prices_token.get_secret_value())
