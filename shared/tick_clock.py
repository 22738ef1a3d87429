"""The order of a symbol's ticks: a producer's stamps order its own ticks, arrival orders everything else."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

NEW_CLOCK_AFTER_MS: Final = 2_000
"""Default of the setting ``tick_new_clock_after_s``."""


class TickOrder(Enum):
    """Where a tick stands among those of its symbol."""

    NEWEST = "newest"
    """It is the last one now."""
    NEW_CLOCK = "new clock"
    """It is the last one now although its stamp is older: its producer's clock was set back."""
    STALE = "stale"
    """It is older than the last one; nothing moved."""
    OUTSIDE = "outside"
    """It is beyond the circuit limits of its day; nothing moved."""
    STUCK = "stuck"
    """Stale, like every tick of its symbol for so long; said once until a tick is taken again."""


_NEWEST: Final = TickOrder.NEWEST  # a global is found faster than a member of an enumeration

TAKEN: Final = (TickOrder.NEWEST, TickOrder.NEW_CLOCK)
"""Orders of the ticks now last for their symbol."""


class Lateness(NamedTuple):
    """Stale ticks of a symbol since its last one: arrivals in milliseconds since 1970, 0 for none."""

    stale_since_ms: int
    rising_since_ms: int
    """Arrival of the first of them with a ``seq`` above all before."""
    highest_seq: int
    is_told: bool
    """Whether one of them was `STUCK`."""


ON_TIME: Final = Lateness(0, 0, 0, False)
"""No tick was stale since the last one."""


class TickClock:
    """A symbol's last tick, in microseconds (its stamp) and milliseconds (its arrival) since 1970.

    A stamp later than its arrival counts as the arrival, so a producer with a fast clock never makes correct ticks
    stale. Later records of the log never count as arriving earlier, even if a clock says so.

    Parameters
    ----------
    new_clock_after_ms:
        The producer's clock was set back if every tick of the symbol is stale for so long (by arrival) while ``seq``
        rises above all seen before. The next such tick is then taken. A repeated old tick does not raise ``seq``.
    """

    __slots__ = (
        "_new_clock_after_ms",
        "last_arrived_ms",
        "last_seq",
        "last_ts_us",
        "late",
    )

    def __init__(self, new_clock_after_ms: int = NEW_CLOCK_AFTER_MS) -> None:
        self._new_clock_after_ms = new_clock_after_ms
        self.start_at(0, 0, 0)

    def start_at(self, ts_us: int, seq: int, arrived_ms: int, late: Lateness = ON_TIME) -> None:
        """Make a tick the last one, whatever was before; `late` are the stale ticks since."""
        self.last_ts_us, self.last_seq, self.last_arrived_ms, self.late = ts_us, seq, arrived_ms, late

    def take(self, ts_us: int, seq: int, arrived_ms: int) -> TickOrder:
        """Accept a tick as the last one unless it is stale: lower `(ts, seq)`; an equal one is a duplicate.

        `arrived_ms` of 0 means an unknown arrival.
        """
        if arrived_ms < self.last_arrived_ms:
            arrived_ms = self.last_arrived_ms
        if ts_us >= arrived_ms * 1000 + 1000 and arrived_ms:
            ts_us = arrived_ms * 1000
        order = _NEWEST
        if ts_us < self.last_ts_us or (ts_us == self.last_ts_us and seq < self.last_seq):
            order = self._late(seq, arrived_ms)
            if order is not TickOrder.NEW_CLOCK:
                return order
        self.start_at(ts_us, seq, arrived_ms)
        return order

    def _late(self, seq: int, arrived_ms: int) -> TickOrder:
        first = Lateness(max(arrived_ms, 1), 0, self.last_seq, is_told=False)
        stale_since_ms, rising_since_ms, highest_seq, is_told = first if self.late is ON_TIME else self.late
        if seq > highest_seq:
            highest_seq = seq
            if not rising_since_ms:
                rising_since_ms = max(arrived_ms, 1)
            elif arrived_ms - rising_since_ms >= self._new_clock_after_ms:
                return TickOrder.NEW_CLOCK
        is_stuck = arrived_ms - stale_since_ms >= self._new_clock_after_ms
        self.late = Lateness(stale_since_ms, rising_since_ms, highest_seq, is_told or is_stuck)
        return TickOrder.STUCK if is_stuck and not is_told else TickOrder.STALE
