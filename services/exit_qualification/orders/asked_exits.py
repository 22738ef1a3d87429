"""Exits that trade management has asked for, where it decides when an exit is executed.

A request is kept in memory and lapses: trade management repeats it as long as the exit is approved. So a lost request
delays an exit, and an old one sends none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from uuid import UUID

from services.exit_qualification.storage.order_queues import Asked
from shared.clock import Clock
from shared.postgres.notifications import Listener

log = logging.getLogger(__name__)

VALID_S = 4.0
"""Age at which a request lapses; several of its repetitions."""

MOST = 5_000
"""Maximum requests kept; beyond it the oldest give way, until they are repeated."""

AskedFor = Callable[[], Asked]
"""Returns the exits asked for; None: trade management need not ask."""


def need_not_ask() -> Asked:
    """Return None: exit qualification executes its exits by itself."""
    return None


class AskedExits:
    """Requests by exit, the oldest first. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: dict[UUID, float] = {}

    def note(self, intent_ids: Iterable[UUID]) -> None:
        """Keep requests, or renew them."""
        until_s = self._clock.monotonic() + VALID_S
        with self._lock:
            for intent_id in intent_ids:
                self._until_s.pop(intent_id, None)
                self._until_s[intent_id] = until_s
            for oldest in list(self._until_s)[: max(0, len(self._until_s) - MOST)]:
                del self._until_s[oldest]

    def now(self) -> Collection[UUID]:
        """Return the exits asked for a moment ago."""
        now_s = self._clock.monotonic()
        with self._lock:
            self._until_s = {intent_id: until_s for intent_id, until_s in self._until_s.items() if until_s > now_s}
            return list(self._until_s)


class AskedExitsListener:
    """Wait for requests, as told by exit-api through the database. Not thread-safe."""

    def __init__(self, listener: Listener, asked: AskedExits) -> None:
        self._listener = listener
        self._asked = asked

    def wait(self, timeout_s: float) -> bool:
        """Keep the requests that arrive; return whether any did within the time.

        Raises
        ------
        ListeningFailed
            The database does not answer.
        """
        told = self._listener.payloads(timeout_s)
        for payload in told:
            self._keep(payload)
        return bool(told)

    def _keep(self, payload: str) -> None:
        try:
            self._asked.note([UUID(each) for each in payload.split(",")])
        except ValueError:
            log.error("a request for exits that names none: %.100s", payload)  # repeated, if it was one
