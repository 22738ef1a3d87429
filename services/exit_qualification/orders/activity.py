"""Activity: whether there is anything to do for the loops of the order process, asked in one statement for all."""

from __future__ import annotations

import threading

from sqlalchemy import Engine

from services.exit_qualification.storage.order_tasks import OrderTasks, read_tasks
from shared.clock import Clock
from shared.postgres.engine import look

FRESH_S = 0.5
"""Older tasks are read again."""


class Activity:
    """Tasks as of at most half a second ago. Thread-safe: loops asking at the same time share a statement."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._asking = threading.Lock()
        self._tasks: OrderTasks | None = None
        self._stale_at_s = 0.0

    def anything_unsent(self) -> bool:
        """Return whether there is an unsent exit."""
        return self._now().unsent

    def any_prices_needed(self) -> bool:
        """Return whether there is an unsent exit, or a tick that waits for a quote."""
        now = self._now()
        return now.unsent or now.quotes

    def any_losses(self) -> bool:
        """Return whether an account has a loss limit, or its entries held."""
        return self._now().losses

    def any_stops(self) -> bool:
        """Return whether a broker holds or should hold a stop."""
        return self._now().stops

    def had_stops(self) -> bool:
        """Return whether there was a stop at the last look; True before it."""
        return self._tasks is None or self._tasks.stops

    def _now(self) -> OrderTasks:
        with self._asking:
            now_s = self._clock.monotonic()
            if self._tasks is None or now_s >= self._stale_at_s:
                with look(self._engine) as connection:
                    self._tasks = read_tasks(connection)
                self._stale_at_s = now_s + FRESH_S
            return self._tasks
