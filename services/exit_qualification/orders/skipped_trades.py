"""Trades skipped by the order process because another transaction holds one of their rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from shared.clock import Clock
from shared.postgres.row_locks import RowHeld, own_row_only
from shared.runtime.health import Health
from shared.runtime.waiting_work import WaitingItem, WaitingReport

OF = "exit-orders"
WHY = "another transaction holds a row of its exit"
FORGET_S = 6.0
"""Time after which a trade no longer skipped is forgotten; longer than the longest pause between two passes."""


class SkippedTrades:
    """Skipped trades of all threads, with start times. The database rows keep the remaining work."""

    def __init__(self, health: Health, clock: Clock) -> None:
        self._shown = WaitingReport(OF, health)
        self._clock = clock
        self._lock = threading.Lock()
        self._skipped: dict[UUID, tuple[float, float, str]] = {}

    def note(self, trade_id: UUID, why: str = WHY) -> None:
        """Record the skipping of work on a trade."""
        now = self._clock.monotonic()
        with self._lock:
            since, _, _ = self._skipped.get(trade_id, (now, now, why))
            self._skipped[trade_id] = (since, now, why)

    @contextmanager
    def skipping(self, trade_id: UUID, why: str = WHY) -> Iterator[None]:
        """Skip the block if another transaction holds a row it needs; a later pass retries."""
        try:
            with own_row_only():
                yield
        except RowHeld:
            self.note(trade_id, why)

    def show(self) -> None:
        """Report the currently skipped trades; called by one thread."""
        now = self._clock.monotonic()
        with self._lock:
            self._skipped = {trade: each for trade, each in self._skipped.items() if now - each[1] <= FORGET_S}
            items = [
                WaitingItem(f"trade {trade}", why, now - since) for trade, (since, _, why) in self._skipped.items()
            ]
        self._shown.show(items)
