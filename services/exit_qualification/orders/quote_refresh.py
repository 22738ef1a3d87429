"""Quotes of brokers for exits waiting for a price, and for the price bands of open trades."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from services.exit_qualification.orders.brokers.port import Brokers, BrokerUnavailable
from services.exit_qualification.storage.market_quotes import QuoteRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

WAITING_EVERY_S: Final = 1.0
BANDS_EVERY_S: Final = 300.0
BANDS_LOOK_S: Final = 60.0
MOST_SYMBOLS: Final = 500
"""Symbols of one call to Kite for quotes."""


class QuoteRefresh:
    """Asks brokers for quotes, at most one call for each account in a step. Not thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], brokers: Brokers, clock: Clock) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._clock = clock
        self._next_bands_s = 0.0

    def refresh_once(self) -> bool:
        """Store the needed quotes; return False, because the next run comes after a wait."""
        for user_broker_id, symbols in self._needed().items():
            self._quote(user_broker_id, symbols)
        return False

    def _needed(self) -> dict[str, list[str]]:
        with self._open_unit() as uow:
            quotes = QuoteRepository(uow.connection)
            needed = quotes.needed_now(WAITING_EVERY_S, MOST_SYMBOLS)
            if not needed and self._clock.monotonic() >= self._next_bands_s:
                self._next_bands_s = self._clock.monotonic() + BANDS_LOOK_S
                needed = quotes.needed_today(BANDS_EVERY_S, MOST_SYMBOLS)
        return needed

    def _quote(self, user_broker_id: str, symbols: list[str]) -> None:
        """Store the quotes of an account. Without an answer its exits go on waiting; the next step asks again."""
        with self._open_unit() as uow:
            account = SwitchRepository(uow.connection).broker(user_broker_id)
        try:
            quotes = self._brokers.port(account).quotes(symbols)
        except BrokerUnavailable as error:
            log.warning("quotes for %s: %s; its exits wait for a tick", user_broker_id, error)
            return
        with self._open_unit() as uow:
            QuoteRepository(uow.connection).upsert(quotes)
            uow.commit()
