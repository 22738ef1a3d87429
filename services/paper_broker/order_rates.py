"""Rate limits of orders, for each account: a second, a minute, a day. Windows slide; the day is India's."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.paper_broker.book_time import MINUTE_MS, from_ms
from services.paper_broker.kite_errors import KiteError

SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """Most orders of an account in a second, a minute and a day."""

    per_second: int
    per_minute: int
    per_day: int


@dataclass(slots=True)
class _Taken:
    """Orders of an account: their times in the last minute, and their number on a day."""

    day: str = ""
    on_day: int = 0
    at_ms: deque[int] = field(default_factory=deque)


class OrderRates:
    """Counts accepted order requests. Not thread-safe: one writer uses it."""

    def __init__(self, limits: OrderLimits) -> None:
        self._limits = limits
        self._accounts: defaultdict[str, _Taken] = defaultdict(_Taken)

    def take(self, account: str, now_ms: int, placed_since: Callable[[int], int]) -> None:
        """Count an order. `placed_since` returns the ledger's orders since an instant; a day begins with it.

        Raises
        ------
        KiteError
            NetworkException with status 429; the order does not count.
        """
        taken = self._accounts[account]
        today = from_ms(now_ms)
        if taken.day != today.date().isoformat():
            midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
            taken.day, taken.on_day = today.date().isoformat(), placed_since(int(midnight.timestamp() * 1000))
        while taken.at_ms and now_ms - taken.at_ms[0] >= MINUTE_MS:
            taken.at_ms.popleft()
        self._refuse_beyond(taken, now_ms)
        taken.at_ms.append(now_ms)
        taken.on_day += 1

    def _refuse_beyond(self, taken: _Taken, now_ms: int) -> None:
        limits, nth = self._limits, len(taken.at_ms) - self._limits.per_second
        if nth >= 0 and now_ms - taken.at_ms[nth] < SECOND_MS:
            raise _too_many("second", limits.per_second)
        if len(taken.at_ms) >= limits.per_minute:
            raise _too_many("minute", limits.per_minute)
        if taken.on_day >= limits.per_day:
            raise _too_many("day", limits.per_day)


def _too_many(window: str, most: int) -> KiteError:
    return KiteError("NetworkException", f"Too many requests: at most {most} orders a {window}.", 429)
