"""What a committed batch did: its metrics and its log line."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from services.trade_management.domain.closure import Booking
from services.trade_management.domain.fill_report import FillReport
from services.trade_management.metrics import (
    EXCESS_SHARES,
    FILL_TO_CLOSE_SECONDS,
    LATE_FILLS,
    TRADES_CLOSED,
    TRADES_PARTIALLY_CLOSED,
)
from shared.runtime.trace import in_trace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Booked:
    """Bookings of a batch, and the trace of the last report of each of its trades."""

    bookings: Sequence[Booking]
    traces: Mapping[UUID, str | None]

    @classmethod
    def of(cls, bookings: Sequence[Booking], reports: Iterable[FillReport]) -> Self:
        """Return the bookings of these reports, which are in the order of their events."""
        return cls(bookings, {report.trade_id: report.traceparent for report in reports})

    def count(self, now: datetime) -> None:
        """Count closures, and fills that came too late or were too many."""
        for booking in self.bookings:
            if booking.excess:
                self._count_excess(booking)
        closures = [booking.closure for booking in self.bookings if booking.closure]
        for (final, reason), count in Counter((each.final, each.exit_reason) for each in closures).items():
            (TRADES_CLOSED if final else TRADES_PARTIALLY_CLOSED).labels(reason.value).inc(count)
        for closure in closures:
            if closure.final:
                FILL_TO_CLOSE_SECONDS.observe(max(0.0, (now - closure.closed_at).total_seconds()))

    def tell(self) -> None:
        """Log closed trades: one line for a batch, since a line for each would take a tenth of its time."""
        closed = [booking.after for booking in self.bookings if booking.closure and booking.closure.final]
        if not closed:
            return
        nets = [f"{after.trade.trade_id} closed, net {after.net_pnl()}" for after in closed]
        traceparent = self.traces[closed[0].trade.trade_id] if len(closed) == 1 else None
        log.info("trade %s", "; trade ".join(nets), extra=in_trace(traceparent))

    def _count_excess(self, booking: Booking) -> None:
        trade_id = booking.after.trade.trade_id
        EXCESS_SHARES.inc(booking.excess)
        LATE_FILLS.inc(sum(fill.late for fill in booking.recorded))
        log.error(
            "trade %s: %d shares filled beyond its quantity, the position is not flat",
            trade_id,
            booking.excess,
            extra=in_trace(self.traces[trade_id]),
        )
