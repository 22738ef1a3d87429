"""Circuit limits of the day for the engine of a worker, as the quotes of brokers bring them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.storage.market_quotes import QuoteRepository
from services.exit_qualification.ticks.metrics import shown
from shared.postgres.engine import look

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Pause between looks for new limits."""
_OVERLAP: Final = timedelta(seconds=10)
"""A quote is stored within this time of its stamp, so none is passed over."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LimitsFeed:
    """Gives an engine the circuit limits in the database, and asks for quotes of symbols with ticks beyond them.

    The exchange may have moved the limits since the last quote: exits of the symbol must not wait for minutes.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._since = _NEVER
        self._next_s = 0.0
        self._beyond: set[str] = set()

    def load(self, connection: Connection, engine: ExitSignalService) -> None:
        """Give a new engine all limits of today."""
        self._since, self._beyond = _NEVER, set()
        self._read(QuoteRepository(connection), engine)

    def note(self, symbols: Iterable[str]) -> None:
        """Note symbols with a tick beyond their limits."""
        self._beyond.update(symbols)

    def follow(self, engine: ExitSignalService, now_s: float) -> list[str]:
        """Give the engine limits that changed, at intervals; return their symbols, to write a checkpoint of."""
        if now_s < self._next_s:
            return []
        self._next_s = now_s + LOOK_S
        with look(self._database) as connection:
            quotes = QuoteRepository(connection)
            self._ask(quotes, engine)
            return self._read(quotes, engine)

    def _ask(self, quotes: QuoteRepository, engine: ExitSignalService) -> None:
        if not self._beyond:
            return
        beyond, self._beyond = sorted(self._beyond), set()
        log.warning("%s: ticks beyond the circuit limits were dropped; asking for a quote", shown(beyond))
        accounts = {symbol: engine.account_of(symbol) for symbol in beyond}
        quotes.want({symbol: account for symbol, account in accounts.items() if account is not None})

    def _read(self, quotes: QuoteRepository, engine: ExitSignalService) -> list[str]:
        limits, newest = quotes.limits_since(self._since)
        if newest is not None:
            self._since = newest - _OVERLAP
        return engine.limit(limits)
