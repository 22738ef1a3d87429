"""Traces of ticks behind exits, kept until the exits are committed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from uuid import UUID

MOST: Final = 100_000
"""Exits on their way; of more, the earliest are forgotten and have no link to their tick."""


class TickCauses:
    """The ``traceparent`` of the tick behind an exit, by trade and time of detection."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[UUID, int], str] = OrderedDict()

    def add(self, trade_id: UUID, detected_at_us: int, traceparent: str) -> None:
        """Keep a trace; the time is in microseconds since 1970."""
        self._found[trade_id, detected_at_us] = traceparent
        if len(self._found) > MOST:
            self._found.popitem(last=False)

    def of(self, trade_id: UUID, detected_at_us: int) -> str | None:
        """Return a trace; None if the tick had none or was not seen here."""
        return self._found.get((trade_id, detected_at_us))
