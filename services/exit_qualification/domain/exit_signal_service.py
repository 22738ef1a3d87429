"""Trade qualification: evaluates a symbol's ticks against its open trades and returns candidates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import groupby, islice
from math import inf
from uuid import UUID

from services.exit_qualification.domain.candidates import (
    QUIET,
    REFUSED,
    BrickCount,
    ExitCandidate,
    ExitCandidates,
    TickVerdict,
)
from services.exit_qualification.domain.circuit_limits import NO_LIMITS, CircuitLimits
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import HoursOf, every_day
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook, SymbolState
from services.exit_qualification.domain.trade_states import carried_over, states_of
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.confirmation import Confirmed
from shared.exit_rules.rule import RuleState, Saved
from shared.exit_rules.scale import Scale
from shared.tick_clock import NEW_CLOCK_AFTER_MS, TAKEN, TickOrder

QuietPath = Callable[[int, int, int, int], bool]


class ExitSignalService:
    """Rule engine of one worker. No I/O, no clock: the same calls always give the same results.

    A firing rule is disarmed in the same call, so the next tick does not report it again. The disarmed state is
    only a hint: the database decides whether an exit is live or under cooldown, and the caller rearms eligible
    rules.

    After a restart, restore the symbols, add the trades, and disarm rules with an episode. Rearming then finds due
    exits on symbols without trading.

    Parameters
    ----------
    new_clock_after_ms:
        See `TickClock`.
    hours:
        Open hours of each symbol.
    """

    def __init__(self, new_clock_after_ms: int = NEW_CLOCK_AFTER_MS, hours: HoursOf = every_day) -> None:
        self._new_clock_after_ms = new_clock_after_ms
        self._hours = hours
        self._books: dict[str, SymbolBook] = {}
        self._limits: dict[str, CircuitLimits] = {}
        self._trades: dict[UUID, OpenTrade] = {}
        self._disarmed: OrderedDict[RuleKey, None] = OrderedDict()
        self._deadlines: list[tuple[int, RuleKey]] = []

    def add_trade(self, trade: OpenTrade) -> list[ExitCandidates]:
        """Evaluate a trade from now on; a known trade stays as it is, so a repeated event changes nothing.

        Ticks can overtake the event of a trade. If the symbol's last tick arrived at or after the entry, the trade is
        evaluated by it immediately, and its rules may fire; an earlier price fires nothing.
        """
        if trade.trade_id in self._trades:
            return []
        book = self._book(trade.symbol)
        self._watch(book, trade, dict(states_of(trade, book)), disarmed=())
        if not book.has_ticked_since(trade.entered_at_ms):
            return []
        return self._judge_by_last(book, trade.rule_keys(), settle=trade.entered_tick is None)

    def load(self, trades: Iterable[OpenTrade]) -> None:
        """Add the trades of a checkpoint to an engine without trades; evaluate no tick before `watch_loaded`."""
        books: dict[str, SymbolBook] = {}
        for trade in trades:
            book = books.get(trade.symbol)
            if book is None:
                book = books[trade.symbol] = self._book(trade.symbol)
            self._trades[trade.trade_id] = trade
            load = book.loader(trade.direction)
            for key, state in states_of(trade, book):
                load(key, state)
                if (at_ms := state.deadline_ms) is not None:
                    self._deadlines.append((at_ms, key))

    def watch_loaded(self) -> None:
        """Evaluate the loaded trades from now on; the levels of a symbol are sorted once.

        Rules met by the last price are disarmed: rearming finds them due.
        """
        heapify(self._deadlines)
        for book in self._books.values():
            for key in book.watch_loaded():
                book.disarm(key)
                self._disarmed[key] = None

    def change_plan(self, trade: OpenTrade) -> list[ExitCandidates]:
        """Replace the plan of a known trade; ignore a plan that is not newer, and an unknown trade.

        Unchanged rules keep their state, and disarmed rules stay disarmed. Changed rules start from the progress
        since entry, and are evaluated by the symbol's last price immediately.
        """
        known = self.trade(trade.trade_id)
        if known is None or trade.plan_version <= known.plan_version:
            return []
        disarmed, states = self._let_go(known)
        book = self._book(trade.symbol)
        self._watch(book, trade, carried_over(known, states, trade), disarmed=disarmed, moved=True)
        changed = [key for key in trade.rule_keys() if known.rules.get(key[1:]) != trade.rules[key[1:]]]
        return self._judge_by_last(book, changed, settle=True)

    def adjust_trade(self, trade: OpenTrade, scale: Scale, effective_ms: int) -> dict[RuleKey, Saved]:
        """Replace a known trade after a corporate action and return its rules' states; ignore one that is not newer.

        States keep their progress, at the new prices; disarmed rules stay disarmed. Nothing fires: the last
        price of the symbol, if it is of before the action, is changed too.

        Parameters
        ----------
        trade:
            With the new plan and symbol, its rules as at the entry.
        effective_ms:
            Ticks with an earlier arrival have prices of before; milliseconds since 1970.
        """
        known = self.trade(trade.trade_id)
        if known is None or trade.plan_version <= known.plan_version:
            return {}
        disarmed, states = self._let_go(known)
        saved = {key: scale.saved(state.saved()) for key, state in states.items()}
        book = self._book(trade.symbol)
        if known.symbol == trade.symbol:
            book.reprice(scale, effective_ms)
        after = trade._replace(entered_tick=book.ticks, saved={key[1:]: found for key, found in saved.items()})
        self._watch(book, after, dict(states_of(after, book)), disarmed=disarmed, moved=True)
        return saved

    def trade(self, trade_id: UUID) -> OpenTrade | None:
        """Return a trade under evaluation; None if it is unknown."""
        return self._trades.get(trade_id)

    def remove_trade(self, trade_id: UUID) -> None:
        """Stop evaluating a trade; do nothing if it is unknown."""
        known = self.trade(trade_id)
        if known is not None:
            self._let_go(known)

    def on_tick(self, symbol: str, price_units: int, ts_us: int, seq: int, arrived_ms: int = 0) -> TickVerdict:
        """Evaluate a tick.

        Parameters
        ----------
        price_units:
            Last traded price in 1/10,000 rupee, above 0.
        ts_us, seq:
            Order of the ticks of a symbol's producer, see `TickClock`; microseconds since 1970.
        arrived_ms:
            Arrival time in Kafka, in milliseconds since 1970; 0 if unknown.
        """
        book = self._book(symbol)
        if book.pass_quietly(price_units, ts_us, seq, arrived_ms):
            return QUIET
        if book.excludes(price_units, ts_us):
            return REFUSED[TickOrder.OUTSIDE]
        order = book.take(ts_us, seq, arrived_ms)
        if order not in TAKEN:
            return REFUSED[order]
        book.trade_at(price_units)
        if order is TickOrder.NEWEST and book.nearest_below < price_units < book.nearest_above:
            return QUIET
        return TickVerdict(True, tuple(self._emit(book, book.fire(), book.last_ts_us)), order)

    def limit(self, limits: Mapping[str, CircuitLimits]) -> list[str]:
        """Refuse later ticks beyond the limits of their day; return the symbols with limits not as before.

        Nothing fires and no state moves. A checkpoint of these symbols keeps their earlier ticks judged as they were.
        """
        changed = [symbol for symbol, each in limits.items() if self._limits.get(symbol, NO_LIMITS) != each]
        for symbol in changed:
            self._limits[symbol] = limits[symbol]
            if symbol in self._books:
                self._books[symbol].limit(limits[symbol])
        return changed

    def account_of(self, symbol: str) -> str | None:
        """Return the user broker of one of a symbol's trades; None without a trade."""
        book = self._books.get(symbol)
        trade_id = None if book is None else book.first_trade
        return None if trade_id is None else self._trades[trade_id].user_broker_id

    def quiet_path(self, symbol: str) -> QuietPath:
        """Return `SymbolBook.pass_quietly` of a symbol, for callers trying it before `on_tick`."""
        return self._book(symbol).pass_quietly

    def on_clock(self, now_ms: int) -> list[ExitCandidates]:
        """Evaluate the rules by time, also for symbols without ticks; milliseconds since 1970."""
        fired: dict[str, list[RuleKey]] = {}
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            at_ms, key = heappop(self._deadlines)
            trade = self._trades.get(key.trade_id)
            if trade is None or key[1:] not in trade.rules:
                continue
            book = self._books[trade.symbol]
            if book.rule_state(key).deadline_ms != at_ms:
                continue
            book.expire(key, now_ms)
            if key not in self._disarmed:
                book.disarm(key)
                fired.setdefault(trade.symbol, []).append(key)
        return [
            found for symbol, keys in fired.items() for found in self._emit(self._books[symbol], keys, now_ms * 1000)
        ]

    def disarm(self, trade_id: UUID, reason: ExitReason, leg: int | None = None) -> None:
        """Disarm a rule and all lower ranks of a trade, as a live intent does; ignore unknown trades.

        An intent for the whole remainder disarms every leg of its reason; one of a leg leaves the other legs armed.
        """
        book = self._book_of(trade_id)
        if book is None:
            return
        for key in book.trades[trade_id].rule_keys():
            same_rank = key.reason is reason and (leg is None or key.leg in (None, leg))
            if same_rank or key.reason.rank > reason.rank:
                book.disarm(key)
                self._disarmed[key] = None

    def rearm(self, keys: Iterable[RuleKey]) -> list[ExitCandidates]:
        """Allow disarmed rules to fire again.

        Rules met by their symbol's last price are due immediately, at that price and the time of its tick, so a
        symbol without trading exits too. They are disarmed again. Armed and unknown rules are ignored.
        """
        back = [key for key in dict.fromkeys(keys) if key in self._disarmed]
        by_trade: dict[UUID, list[RuleKey]] = {}
        for key in back:
            by_trade.setdefault(key.trade_id, []).append(key)
        return [found for trade_id, of_trade in by_trade.items() for found in self._rearm(trade_id, of_trade)]

    @property
    def disarmed_count(self) -> int:
        """Return the number of disarmed rules."""
        return len(self._disarmed)

    @property
    def next_deadline_ms(self) -> float:
        """Return when `on_clock` may next have an effect, in milliseconds since 1970; infinity for never."""
        return self._deadlines[0][0] if self._deadlines else inf

    def disarmed(self, limit: int) -> list[RuleKey]:
        """Return at most `limit` disarmed rules to check in the database; repeated calls cover all of them."""
        asked = list(islice(self._disarmed, limit))
        for key in asked:
            self._disarmed.move_to_end(key)
        return asked

    def retire(self, keys: Iterable[RuleKey]) -> None:
        """Leave finished rules disarmed, and check them no more; a change of the plan arms them."""
        for key in keys:
            self._disarmed.pop(key, None)

    def symbol_state(self, symbol: str) -> SymbolState | None:
        """Return the checkpoint of a symbol; None without a tick."""
        book = self._books.get(symbol)
        return book.state if book else None

    def restore_symbol(self, symbol: str, state: SymbolState) -> None:
        """Restore a symbol from its checkpoint. Fires nothing."""
        self._book(symbol).restore(state)

    def rule_states(self, trade_id: UUID) -> dict[RuleKey, RuleState]:
        """Return the state of every rule of a trade; an unknown trade gives an empty dict."""
        book = self._book_of(trade_id)
        return {} if book is None else {key: book.rule_state(key) for key in book.trades[trade_id].rule_keys()}

    def symbols_of(self, trade_ids: Iterable[UUID]) -> set[str]:
        """Return the symbols of these trades; leave out unknown trades."""
        return {self._trades[trade_id].symbol for trade_id in trade_ids if trade_id in self._trades}

    def symbols(self, known: int = 0) -> list[str]:
        """Return the symbols in the order of their first mention, without the first `known` ones."""
        return list(islice(self._books, known, None))

    def unsaved(self, symbols: Iterable[str]) -> list[str]:
        """Return those of these symbols changed since their last checkpoint; leave out unknown symbols."""
        books = self._books
        return [symbol for symbol in symbols if symbol in books and books[symbol].is_unsaved]

    def saved(self, symbol: str, state: SymbolState) -> None:
        """Record this state of a symbol as held by a checkpoint."""
        book = self._books[symbol]
        book.saved_ticks, book.saved_late = state.ticks, state.late

    def moved_rules(self, symbols: Iterable[str]) -> dict[UUID, dict[RuleKey, Saved]]:
        """Return the checkpoints of these symbols' trades with rules moved since the last call."""
        moved: dict[UUID, dict[RuleKey, Saved]] = {}
        for symbol in symbols:
            book = self._book(symbol)
            for trade_id in book.take_moved():
                keys = book.trades[trade_id].rule_keys()
                moved[trade_id] = {key: saved for key in keys if (saved := book.rule_state(key).saved())}
        return moved

    def _watch(
        self,
        book: SymbolBook,
        trade: OpenTrade,
        states: Mapping[RuleKey, RuleState],
        *,
        disarmed: Collection[RuleKey],
        moved: bool = False,
    ) -> None:
        off = [key for key in states if key in disarmed]
        book.put(trade, states, off, moved=moved)
        for key in off:
            self._disarmed[key] = None
        for key, state in states.items():
            if state.deadline_ms is not None:
                heappush(self._deadlines, (state.deadline_ms, key))

    def _judge_by_last(self, book: SymbolBook, keys: list[RuleKey], *, settle: bool) -> list[ExitCandidates]:
        if settle:
            for key in keys:
                book.settle(key)
        due = [key for key in keys if key not in self._disarmed and book.is_due(key)]
        for key in due:
            book.disarm(key)
        return self._emit(book, due, None)

    def _emit(self, book: SymbolBook, fired: list[RuleKey], at_us: int | None) -> list[ExitCandidates]:
        """Return candidates by trade, at the time of the last tick unless a time is given."""
        if not fired:
            return []
        price = book.last_price or None
        at_us = (book.last_ts_us if price else 0) if at_us is None else at_us
        fired.sort(key=_by_trade_then_rank)
        for key in fired:
            self._disarmed[key] = None
        return [
            ExitCandidates(
                trade := book.trades[trade_id],
                tuple([_candidate(trade, key, book.rule_state(key), price, at_us) for key in of_trade]),
            )
            for trade_id, of_trade in groupby(fired, key=_trade_id)
        ]

    def _rearm(self, trade_id: UUID, keys: Sequence[RuleKey]) -> list[ExitCandidates]:
        book = self._books[self._trades[trade_id].symbol]
        due = [key for key in keys if book.is_due(key)]
        for key in keys:
            del self._disarmed[key]
            if key not in due:
                book.arm(key)
        return self._emit(book, due, None)

    def _let_go(self, trade: OpenTrade) -> tuple[set[RuleKey], dict[RuleKey, RuleState]]:
        """Remove a known trade; return its disarmed rules and its rule states."""
        states = self._books[trade.symbol].drop(trade.trade_id)
        disarmed = {key for key in states if key in self._disarmed}
        for key in disarmed:
            del self._disarmed[key]
        return disarmed, states

    def _book(self, symbol: str) -> SymbolBook:
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = SymbolBook(self._trades, self._new_clock_after_ms, self._hours(symbol))
            book.limit(self._limits.get(symbol, NO_LIMITS))
        return book

    def _book_of(self, trade_id: UUID) -> SymbolBook | None:
        trade = self._trades.get(trade_id)
        return None if trade is None else self._books[trade.symbol]


def _candidate(trade: OpenTrade, key: RuleKey, state: RuleState, price: int | None, at_us: int) -> ExitCandidate:
    trade_id, reason, leg = key
    return ExitCandidate(trade_id, trade.symbol, reason, price, at_us, _level(trade, state), leg, _bricks(state))


def _level(trade: OpenTrade, state: RuleState) -> int | None:
    """Return the market price of the condition's level."""
    level = state.condition
    return None if level is None else level.price * trade.direction.sign


def _bricks(state: RuleState) -> BrickCount | None:
    return BrickCount(state.count, state.needed) if isinstance(state, Confirmed) else None


def _trade_id(key: RuleKey) -> UUID:
    return key.trade_id


def _by_trade_then_rank(key: RuleKey) -> tuple[int, int, int]:
    """Return the order of a rule; ids are compared as numbers: Python itself compares UUIDs far more slowly."""
    return key.trade_id.int, key.reason.rank, -1 if key.leg is None else key.leg
