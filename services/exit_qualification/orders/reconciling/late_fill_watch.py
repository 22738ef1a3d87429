"""Looks for fills after the end of their order: often for the lately ended, now and then for the whole day."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.clock import trading_day
from shared.instants import EPOCH

WHOLE_DAY = timedelta(days=2)
"""Longer than any day of a broker's books."""

SPREAD = 0.75
"""Part of the time between two looks at the day over which its accounts are spread."""

LISTED_PAUSE = timedelta(milliseconds=1)
"""Looks for late fills are so much further apart for each order in the books: reading one takes about 0.2 ms."""


@dataclass(slots=True)
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

    def by_account(self) -> dict[str, EndedOrders]:
        """Return the part of each user broker."""
        parts: dict[str, EndedOrders] = defaultdict(EndedOrders)
        for intent in self.exits:
            parts[intent.user_broker_id].exits.append(intent)
        for stop in self.stops:
            parts[stop.user_broker_id].stops.append(stop)
        for name, fills in self.fills_today.items():
            parts[name].fills_today[name] = fills
        return dict(sorted(parts.items()))

    def take(self, other: EndedOrders) -> None:
        """Add the orders of another look, without those here already."""
        known = {intent.intent_id for intent in self.exits} | {stop.stop_id for stop in self.stops}
        self.exits.extend(intent for intent in other.exits if intent.intent_id not in known)
        self.stops.extend(stop for stop in other.stops if stop.stop_id not in known)
        self.fills_today.update(other.fills_today)


class DayRound:
    """Ended orders of the whole day, handed out one account after the other within a time."""

    def __init__(self, ended: EndedOrders, begins: datetime, lasts: timedelta) -> None:
        self._left = deque(ended.by_account().values())
        self._accounts = len(self._left)
        self._begins = begins
        self._lasts = lasts

    def due(self, now: datetime) -> EndedOrders:
        """Return the orders of the accounts whose turn has come since the last call."""
        passed = min(1.0, (now - self._begins) / self._lasts) if self._lasts else 1.0
        found = EndedOrders()
        while len(self._left) > self._accounts - ceil(passed * self._accounts):
            found.take(self._left.popleft())
        return found


class LateFillWatch:
    """The times of the looks, and how many fills of each user broker were compared with whole books.

    The first look at the day concerns all accounts at once, later ones an account after the other: to read the books of
    all at once takes the processor from the senders for a second or more.
    """

    def __init__(self, terms: OrderTerms) -> None:
        self._terms = terms
        self._looked_at: datetime | None = None
        self._looked_at_all_at: datetime | None = None
        self._round = DayRound(EndedOrders(), EPOCH, timedelta())
        self._book_sizes: dict[str, int] = {}
        self._compared_fills: dict[str, int] = {}

    def look(self, connection: Connection, now: datetime) -> EndedOrders:
        """Return the ended orders to look up now; without a statement, none before the next look."""
        queues, stops = OrderQueues(connection), ProtectiveStopRepository(connection)
        if self._is_new_round(now):
            self._begin_round(queues, stops, now)
        found = self._round.due(now)
        if self._is_look_due(now):
            within = 2 * self._terms.late_watch_all
            found.take(EndedOrders(queues.ended_today(BOOK_DAYS, within), stops.ended_today(BOOK_DAYS, within)))
        return found

    def _begin_round(self, queues: OrderQueues, stops: ProtectiveStopRepository, now: datetime) -> None:
        """Read what is to be looked up for the day; its accounts follow one another, but not the first time."""
        is_first, self._looked_at_all_at = self._looked_at_all_at is None, now
        fills = queues.fills_today(trading_day(now))
        of_day = EndedOrders(
            queues.ended_today(BOOK_DAYS, WHOLE_DAY),
            stops.ended_today(BOOK_DAYS, WHOLE_DAY),
            {name: count for name, count in fills.items() if count != self._compared_fills.get(name)},
        )
        self._round = DayRound(of_day, now, timedelta() if is_first else SPREAD * self._terms.late_watch_all)

    def note_book_size(self, user_broker_id: str, orders: int) -> None:
        """Remember how many orders the account's books list: the more there are, the rarer are the looks."""
        self._book_sizes[user_broker_id] = orders

    def note_compared(self, user_broker_id: str, fills: int) -> None:
        """Remember how many fills of today were compared with the account's whole books."""
        self._compared_fills[user_broker_id] = fills

    def _is_new_round(self, now: datetime) -> bool:
        return self._looked_at_all_at is None or now - self._looked_at_all_at >= self._terms.late_watch_all

    def _is_look_due(self, now: datetime) -> bool:
        """Return whether to look for the lately ended orders, and note the look."""
        terms = self._terms
        pause = min(terms.late_watch + LISTED_PAUSE * sum(self._book_sizes.values()), terms.late_watch_all)
        if self._looked_at is not None and now - self._looked_at < pause:
            return False
        self._looked_at = now
        return True
