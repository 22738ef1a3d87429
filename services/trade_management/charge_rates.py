"""Charge rates kept for a while: they change seldom, and every opening and every batch of fills needs them."""

from __future__ import annotations

import threading

from sqlalchemy import Connection

from services.trade_management.domain.charges import ChargeSchedule
from services.trade_management.storage.charge_schedules import ChargeScheduleRepository
from shared.clock import Clock

KEPT_S = 10.0
"""Time until a changed schedule applies in every process."""


class ChargeRates:
    """The schedule read at most `KEPT_S` ago. Safe to use from any thread.

    Parameters
    ----------
    clock:
        Its monotonic time counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, ChargeSchedule] | None = None

    def of(self, connection: Connection) -> ChargeSchedule:
        """Return the schedule; read it in the connection's transaction if the kept one is too old."""
        with self._lock:
            if self._kept is None or self._clock.monotonic() - self._kept[0] >= KEPT_S:
                self._kept = self._clock.monotonic(), ChargeScheduleRepository(connection).all()
            return self._kept[1]
