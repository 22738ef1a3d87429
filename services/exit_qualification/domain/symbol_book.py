"""Last tick of one symbol, and its open trades with their rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from services.exit_qualification.domain.circuit_limits import NO_LIMITS, CircuitLimits
from services.exit_qualification.domain.direction_book import DirectionBook
from services.exit_qualification.domain.level_index import ABOVE_ALL, BELOW_ALL, RuleKey
from services.exit_qualification.domain.open_hours import Hours, OpenHours, day_of, whole_day
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import Direction
from shared.exit_rules.rule import RuleState
from shared.exit_rules.scale import Scale
from shared.tick_clock import NEW_CLOCK_AFTER_MS, ON_TIME, Lateness, TickClock, TickOrder

Stairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SymbolState:
    """Checkpoint of a symbol: price in units, times in micro- and milliseconds since 1970.

    Attributes
    ----------
    last_arrived_ms:
        Arrival time of the last tick in Kafka; 0 if unknown. A replayed market has ticks of another day.
    ticks:
        Number of ticks of the symbol.
    stairs:
        For each direction, the ticks behind the watermarks: number and profit price, falling.
    late:
        Stale ticks since the last one.
    """

    last_price: int
    last_ts_us: int
    last_seq: int
    last_arrived_ms: int = 0
    ticks: int = 0
    stairs: Mapping[Direction, Stairs] = field(default_factory=dict)
    late: Lateness = ON_TIME


class SymbolBook(TickClock):
    """Data of one symbol needed to evaluate a tick.

    Attributes
    ----------
    trades:
        Trades of all symbols, by id, shared by all books.

    Parameters
    ----------
    hours:
        Open hours of the symbol. Ticks outside them and the first one of a session form no bricks.
    """

    __slots__ = (
        "_books",
        "_hours",
        "_limits",
        "_opening",
        "_quiet_until_us",
        "_session",
        "last_price",
        "nearest_above",
        "nearest_below",
        "saved_late",
        "saved_ticks",
        "ticks",
        "trades",
    )

    def __init__(
        self,
        trades: dict[UUID, OpenTrade],
        new_clock_after_ms: int = NEW_CLOCK_AFTER_MS,
        hours: OpenHours = whole_day,
    ) -> None:
        self._hours = hours
        self._session: Hours | None = None
        self._limits = NO_LIMITS
        self._quiet_until_us = 0
        super().__init__(new_clock_after_ms)
        self.last_price = 0  # No price is 0: until the first tick the symbol has no state.
        self._opening = False
        self.ticks = 0
        self.saved_ticks, self.saved_late = 0, ON_TIME
        self.trades = trades
        self._books = {direction: DirectionBook() for direction in Direction}
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    @property
    def state(self) -> SymbolState | None:
        """Return the last accepted tick; None before the first."""
        if not self.last_price:
            return None
        stairs = {direction: stairs for direction, book in self._books.items() if (stairs := book.marks.stairs)}
        last = (self.last_price, self.last_ts_us, self.last_seq, self.last_arrived_ms)
        return SymbolState(*last, self.ticks, stairs, self.late)

    def restore(self, state: SymbolState) -> None:
        """Restore from a checkpoint, before any trade is put. Fires nothing."""
        self.last_price = state.last_price
        self.start_at(state.last_ts_us, state.last_seq, state.last_arrived_ms, state.late)
        self._session = self._hours(state.last_ts_us)
        self.ticks = self.saved_ticks = state.ticks
        self.saved_late = state.late
        self._quiet_until_us = self._session[1] if self._session and state.late is ON_TIME else 0
        for direction, stairs in state.stairs.items():
            self._books[direction].marks.restore(stairs)

    def pass_quietly(self, price: int, ts_us: int, seq: int, arrived_ms: int) -> bool:
        """Take an ordinary tick without a reached level, as `take` and `trade_at` do; return False for any other.

        Nothing is changed then. Ordinary: newest of its symbol, with a known arrival, its stamp not ahead of it, in
        the session of the tick before, with no opening or stale tick just before.
        """
        if (
            not self.nearest_below < price < self.nearest_above
            or not self.last_ts_us <= ts_us < self._quiet_until_us
            or arrived_ms < self.last_arrived_ms
            or ts_us >= arrived_ms * 1000 + 1000
            or (ts_us == self.last_ts_us and seq < self.last_seq)
        ):
            return False
        self.last_price, self.last_ts_us, self.last_seq, self.last_arrived_ms = price, ts_us, seq, arrived_ms
        self.ticks += 1
        return True

    def limit(self, limits: CircuitLimits) -> None:
        """Exclude later ticks beyond these limits; they are levels too, so an ordinary tick costs nothing more."""
        self._limits = limits
        self._find_nearest()

    def excludes(self, price: int, ts_us: int) -> bool:
        """Return whether a tick is beyond the circuit limits of its day."""
        return self._limits.exclude(price, day_of(ts_us))

    def trade_at(self, price: int) -> None:
        """Set the last price to one accepted by `take`."""
        session = self._session
        if session is None or not session[0] <= self.last_ts_us < session[1]:
            session = self._hours(self.last_ts_us)
        self._opening = session is None or (session != self._session and self.last_price > 0)
        self._session = session
        self._quiet_until_us = 0 if session is None or self._opening else session[1]
        self.last_price = price
        self.ticks += 1

    def reprice(self, scale: Scale, effective_ms: int) -> None:
        """Change the last price to the one after a corporate action, once: it then counts as arrived with the action.

        A price from after the action stays.
        """
        if self.last_price and self.last_arrived_ms < effective_ms:
            self.last_price = scale.units(self.last_price)
            self.last_arrived_ms = effective_ms
            self.ticks += 1

    def has_ticked_since(self, instant_ms: int) -> bool:
        """Return whether the last tick arrived at this instant or later."""
        return self.last_price > 0 and self.last_arrived_ms >= instant_ms

    def put(
        self, trade: OpenTrade, rules: Mapping[RuleKey, RuleState], disarmed: Collection[RuleKey], *, moved: bool
    ) -> None:
        """Add a trade, its rules armed but for `disarmed`; `moved` if no checkpoint has its rule states yet."""
        self.trades[trade.trade_id] = trade
        book = self._books[trade.direction]
        for key, state in rules.items():
            book.put(key, state, armed=key not in disarmed)
        if moved:
            book.moved.update(rules)
        self._find_nearest()

    def loader(self, direction: Direction) -> Callable[[RuleKey, RuleState], None]:
        """Return the function for adding an armed rule of a checkpoint's trade; `watch_loaded` then watches it."""
        return self._books[direction].load

    def watch_loaded(self) -> list[RuleKey]:
        """Start to watch the rules of loaded trades; return those met by the last price since their entry."""
        for book in self._books.values():
            book.watch_loaded()
        self._find_nearest()
        if not self.last_price:
            return []
        return [
            key
            for direction, book in self._books.items()
            for key in book.reached(self.last_price * direction.sign)
            if self.has_ticked_since(self.trades[key.trade_id].entered_at_ms) and self.is_due(key)
        ]

    def drop(self, trade_id: UUID) -> dict[RuleKey, RuleState]:
        """Remove a trade and return its rule states."""
        trade = self.trades.pop(trade_id)
        book = self._books[trade.direction]
        states = {key: book.state(key) for key in trade.rule_keys()}
        for key in states:
            book.drop(key)
        self._find_nearest()
        return states

    def rule_state(self, key: RuleKey) -> RuleState:
        """Return the state of a trade's rule."""
        return self._book(key).state(key)

    def best_since(self, direction: Direction, tick: int) -> int:
        """Return the best profit price after a tick, as far as it moved a watermark."""
        return self._books[direction].marks.best_since(tick)

    def arm(self, key: RuleKey) -> None:
        """Allow a rule to fire from the next tick on."""
        if self._book(key).arm(key):
            self._find_nearest()

    def disarm(self, key: RuleKey) -> None:
        """Prevent a rule from firing."""
        if self._book(key).disarm(key):  # one that fired is disarmed already
            self._find_nearest()

    def expire(self, key: RuleKey, now_ms: int) -> None:
        """Notify a rule of its deadline."""
        self._book(key).expire(key, now_ms)
        self._find_nearest()

    def settle(self, key: RuleKey) -> None:
        """Update a rule with the last tick, which it has not seen."""
        if self.last_price:
            self._book(key).settle(key, self._profit_price(key), opening=self._session is None)
            self._find_nearest()

    def is_due(self, key: RuleKey) -> bool:
        """Return whether the condition of a rule holds at the last tick."""
        return self._book(key).is_due(key, self._profit_price(key) if self.last_price else None)

    def fire(self) -> list[RuleKey]:
        """Evaluate every rule at the last tick, and return those firing, in no particular order."""
        fired: list[RuleKey] = []
        for direction, book in self._books.items():
            price = self.last_price * direction.sign
            if not book.nearest_below < price < book.nearest_above:
                fired += book.on_price(price, self.ticks, opening=self._opening)
        self._find_nearest()
        return fired

    @property
    def has_trades(self) -> bool:
        """Return whether the symbol has a trade."""
        return any(book.has_rules for book in self._books.values())

    @property
    def is_unsaved(self) -> bool:
        """Return whether a checkpoint has not seen the last tick, a stale one or a rule's state yet."""
        return (
            self.ticks != self.saved_ticks
            or self.late != self.saved_late
            or any(book.moved for book in self._books.values())
        )

    def take_moved(self) -> set[UUID]:
        """Return the trades with a rule moved since the last call."""
        moved = {key.trade_id for book in self._books.values() for key in book.moved}
        for book in self._books.values():
            book.moved.clear()
        return moved

    def _late(self, seq: int, arrived_ms: int) -> TickOrder:
        self._quiet_until_us = 0
        return super()._late(seq, arrived_ms)

    def _book(self, key: RuleKey) -> DirectionBook:
        return self._books[self.trades[key.trade_id].direction]

    def _profit_price(self, key: RuleKey) -> int:
        return self.last_price * self.trades[key.trade_id].direction.sign

    def _find_nearest(self) -> None:
        """Convert both books' levels to market prices; a SHORT's are negative, and its above is below."""
        long, short = self._books[Direction.LONG], self._books[Direction.SHORT]
        limits = self._limits
        self.nearest_above = min(long.nearest_above, -short.nearest_below, limits.upper + 1)
        self.nearest_below = max(long.nearest_below, -short.nearest_above, limits.lower - 1)
