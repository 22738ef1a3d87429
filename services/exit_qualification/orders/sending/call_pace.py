"""Pace of each account's broker: how long the last call to place an order took."""

from __future__ import annotations

from services.exit_qualification.storage.send_fence import FRESH_S

UNKNOWN_S = FRESH_S
QUICKEST_S = 0.001
QUICK_S = 0.25
"""Accepted orders of a slower broker are recorded before they are read."""


class CallPace:
    """Time of the last call of each account. Many threads can share it: a lost update is the time of another call."""

    def __init__(self) -> None:
        self._call_s: dict[str, float] = {}

    def note(self, user_broker_id: str, took_s: float) -> None:
        """Record the time of a call."""
        self._call_s[user_broker_id] = took_s

    def orders_while_fresh(self, user_broker_id: str) -> int:
        """Return how many orders can be sent while one check of the switches is fresh, at least one."""
        return max(1, int(FRESH_S / max(self._call_s.get(user_broker_id, UNKNOWN_S), QUICKEST_S)))

    def is_quick(self, user_broker_id: str) -> bool:
        """Return whether the last call was quick enough for another one before its result is recorded."""
        return self._call_s.get(user_broker_id, QUICK_S) < QUICK_S
