"""Quotes of brokers for exits waiting for a price, and for the price bands of open trades."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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
SILENT_FOR_S: Final = 30.0
"""Time for which an account without an answer is asked only where no other can be."""


class QuoteRefresh:
    """Asks brokers for quotes, at most one call for each account in a step. Not thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], brokers: Brokers, clock: Clock) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._clock = clock
        self._next_bands_s = 0.0
        self._silent_until_s: dict[str, float] = {}

    def refresh_once(self) -> bool:
        """Store the needed quotes; return whether to run again at once: an account has just become silent."""
        silent = self._silent()
        unanswered = [account for account, symbols in self._needed(silent).items() if not self._quote(account, symbols)]
        self._silent_until_s |= dict.fromkeys(unanswered, self._clock.monotonic() + SILENT_FOR_S)
        return any(account not in silent for account in unanswered)

    def _silent(self) -> list[str]:
        now_s = self._clock.monotonic()
        self._silent_until_s = {account: until for account, until in self._silent_until_s.items() if until > now_s}
        return list(self._silent_until_s)

    def _needed(self, silent: Sequence[str]) -> dict[str, list[str]]:
        with self._open_unit() as uow:
            quotes = QuoteRepository(uow.connection)
            needed = quotes.needed_now(WAITING_EVERY_S, MOST_SYMBOLS, silent)
            if not needed and self._clock.monotonic() >= self._next_bands_s:
                self._next_bands_s = self._clock.monotonic() + BANDS_LOOK_S
                needed = quotes.needed_today(BANDS_EVERY_S, MOST_SYMBOLS, silent)
        return needed

    def _quote(self, user_broker_id: str, symbols: list[str]) -> bool:
        """Store the quotes of an account; return False without an answer: exits and ticks go on waiting."""
        with self._open_unit() as uow:
            account = SwitchRepository(uow.connection).broker(user_broker_id)
        try:
            quotes = self._brokers.port(account).quotes(symbols)
        except BrokerUnavailable as error:
            log.warning("quotes for %s: %s; asking another account, if there is one", user_broker_id, error)
            return False
        with self._open_unit() as uow:
            QuoteRepository(uow.connection).upsert(quotes)
            uow.commit()
        return True
