"""Bounded queue of order updates, each with the earliest time to post it."""

from __future__ import annotations

import heapq
import threading
from itertools import count

from services.paper_broker.orders import Order
from shared.clock import Clock


class PostbackQueue:
    """Order updates in order of their time. Thread-safe; adding never waits."""

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock = clock
        self._size = size
        self._waiting: list[tuple[float, int, Order]] = []
        self._numbers = count()  # keeps the order of updates of the same time
        self._changed = threading.Condition()

    def put(self, order: Order, delay_ms: int = 0) -> bool:
        """Add an update to post after the delay; return False if the queue is full."""
        with self._changed:
            if len(self._waiting) >= self._size:
                return False
            due_s = self._clock.monotonic() + delay_ms / 1000
            heapq.heappush(self._waiting, (due_s, next(self._numbers), order))
            self._changed.notify()
            return True

    def take(self, limit_s: float) -> Order | None:
        """Remove and return the next update; wait at most `limit_s` until one is due, else return None."""
        deadline_s = self._clock.monotonic() + limit_s
        with self._changed:
            while True:
                now_s = self._clock.monotonic()
                next_s = self._waiting[0][0] if self._waiting else deadline_s
                if self._waiting and next_s <= now_s:
                    return heapq.heappop(self._waiting)[2]
                if now_s >= deadline_s:
                    return None
                self._changed.wait(min(next_s, deadline_s) - now_s)
