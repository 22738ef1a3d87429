"""Looks for fills after the end of their order: often for the lately ended, now and then for the whole day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.clock import trading_day

WHOLE_DAY = timedelta(days=2)
"""Longer than any day of a broker's books."""

LISTED_PAUSE = timedelta(milliseconds=1)
"""Looks for late fills are so much further apart for each order in the books: reading one takes about 0.2 ms."""


@dataclass(frozen=True, slots=True)
class EndedOrders:
    """Ended orders with fills perhaps still to come.

    Attributes
    ----------
    fills_today:
        Fills of today of those user brokers with fills never compared with whole books.
    """

    exits: list[ExitIntent] = field(default_factory=list)
    stops: list[ProtectiveStop] = field(default_factory=list)
    fills_today: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.exits or self.stops or self.fills_today)


class LateFillWatch:
    """The times of the looks, and how many fills of each user broker were compared with whole books."""

    def __init__(self, terms: OrderTerms) -> None:
        self._terms = terms
        self._looked_at: datetime | None = None
        self._looked_at_all_at: datetime | None = None
        self._book_sizes: dict[str, int] = {}
        self._compared_fills: dict[str, int] = {}

    def look(self, connection: Connection, now: datetime) -> EndedOrders:
        """Return the ended orders to look up now; without a statement, none before the next look."""
        within = self._within(now)
        if within is None:
            return EndedOrders()
        queues = OrderQueues(connection)
        exits = queues.ended_today(BOOK_DAYS, within)
        stops = ProtectiveStopRepository(connection).ended_today(BOOK_DAYS, within)
        fills = queues.fills_today(trading_day(now)) if within == WHOLE_DAY else {}
        new_fills = {name: count for name, count in fills.items() if count != self._compared_fills.get(name)}
        return EndedOrders(exits, stops, new_fills)

    def note_book_size(self, user_broker_id: str, orders: int) -> None:
        """Remember how many orders the account's books list: the more there are, the rarer are the looks."""
        self._book_sizes[user_broker_id] = orders

    def note_compared(self, user_broker_id: str, fills: int) -> None:
        """Remember how many fills of today were compared with the account's whole books."""
        self._compared_fills[user_broker_id] = fills

    def _within(self, now: datetime) -> timedelta | None:
        """Return how far back to look: the day now and then, else to the lately ended; None: not now."""
        terms = self._terms
        if self._looked_at_all_at is None or now - self._looked_at_all_at >= terms.late_watch_all:
            self._looked_at_all_at = self._looked_at = now
            return WHOLE_DAY
        pause = min(terms.late_watch + LISTED_PAUSE * sum(self._book_sizes.values()), terms.late_watch_all)
        if self._looked_at is not None and now - self._looked_at < pause:
            return None
        self._looked_at = now
        return 2 * terms.late_watch_all
