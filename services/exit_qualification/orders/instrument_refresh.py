"""Daily refresh of the instruments of every broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Final

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import Brokers, BrokerUnavailable
from services.exit_qualification.orders.metrics import INSTRUMENTS_AGE_SECONDS
from services.exit_qualification.storage.instruments import InstrumentRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from shared.clock import TRADING_ZONE, Clock
from shared.contracts.instruments import Instrument
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

FROM_TIME: Final = time(8, 30)
"""Brokers write the file of a day early in the morning, Asia/Kolkata."""
RETRY_S: Final = 300.0
FIRST_RETRY_S: Final = 10.0
"""Pause before the next try while nothing was loaded ever: an installation's broker may start after this process."""
CHUNK: Final = 5000
"""Instruments in one transaction; a file has about a hundred thousand."""


class InstrumentRefresh:
    """Loads the instruments of each broker once a day, and when an operator asks. Not thread-safe.

    Parameters
    ----------
    on_progress:
        Called between transactions, because a large file exceeds the stall limit of a loop.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        clock: Clock,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._clock = clock
        self._on_progress = on_progress

    def refresh_once(self) -> bool:
        """Load due instruments, and show ages; return False, because the next run comes after a wait."""
        with self._open_unit() as uow:
            accounts = SwitchRepository(uow.connection).brokers()
        by_broker = {each.broker: each for each in reversed(accounts) if each.status is BrokerStatus.CONNECTED}
        for broker, account in by_broker.items():
            if self._is_due(broker):
                self._load(broker, account)
        self._show_ages()
        return False

    def _is_due(self, broker: str) -> bool:
        with self._open_unit() as uow:
            due = InstrumentRepository(uow.connection).claim_due(
                broker, due_since(self._clock.now()), RETRY_S, FIRST_RETRY_S
            )
            uow.commit()
        return due

    def _load(self, broker: str, account: UserBroker) -> None:
        """Load the instruments of a broker. A failure is recorded, and tried again after a pause."""
        try:
            listed = self._brokers.port(account).instruments()
        except BrokerUnavailable as error:
            log.warning("instruments of %s: %s; trying again later", broker, error)
            self._record(broker, error=str(error)[:2000])
            return
        self._store(listed.instruments)
        self._record(broker, instruments=len(listed.instruments), skipped=listed.skipped)
        log.info("loaded %d instruments of %s, skipped %d", len(listed.instruments), broker, listed.skipped)

    def _store(self, instruments: Sequence[Instrument]) -> None:
        for start in range(0, len(instruments), CHUNK):
            self._on_progress()
            with self._open_unit() as uow:
                InstrumentRepository(uow.connection).upsert(instruments[start : start + CHUNK])
                uow.commit()

    def _record(self, broker: str, *, instruments: int = 0, skipped: int = 0, error: str | None = None) -> None:
        with self._open_unit() as uow:
            InstrumentRepository(uow.connection).record(broker, instruments=instruments, skipped=skipped, error=error)
            uow.commit()

    def _show_ages(self) -> None:
        with self._open_unit() as uow:
            loads = InstrumentRepository(uow.connection).loads()
        now = self._clock.now()
        for load in loads:
            if load.loaded_at is not None:
                INSTRUMENTS_AGE_SECONDS.labels(load.source).set((now - load.loaded_at).total_seconds())


def due_since(now: datetime) -> datetime:
    """Return the earliest good time of the last load: the last 8:30 in Asia/Kolkata."""
    local = now.astimezone(TRADING_ZONE)
    today = datetime.combine(local.date(), FROM_TIME, TRADING_ZONE)
    return today if today <= local else today - timedelta(days=1)
