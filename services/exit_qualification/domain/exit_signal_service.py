"""Trade qualification: evaluates a symbol's ticks against its open trades and returns candidates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from math import inf
from uuid import UUID

from services.exit_qualification.domain.candidates import QUIET, REFUSED, ExitCandidates, TickVerdict
from services.exit_qualification.domain.fired_rules import by_trade_then_rank, candidates_of
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import HoursOf, every_day
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook
from services.exit_qualification.domain.symbol_books import SymbolBooks
from services.exit_qualification.domain.trade_states import carried_over, states_of
from shared.contracts.vocabulary import ExitReason
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

    Attributes
    ----------
    books:
        Books of all symbols, with the parameters of `SymbolBooks`.
    """

    def __init__(self, new_clock_after_ms: int = NEW_CLOCK_AFTER_MS, hours: HoursOf = every_day) -> None:
        self.books = SymbolBooks(new_clock_after_ms, hours)
        self._disarmed: OrderedDict[RuleKey, None] = OrderedDict()
        self._deadlines: list[tuple[int, RuleKey]] = []

    def add_trade(self, trade: OpenTrade) -> list[ExitCandidates]:
        """Evaluate a trade from now on; a known trade stays as it is, so a repeated event changes nothing.

        Ticks can overtake the event of a trade. If the symbol's last tick arrived at or after the entry, the trade is
        evaluated by it immediately, and its rules may fire; an earlier price fires nothing.
        """
        if trade.trade_id in self.books.trades:
            return []
        book = self.books.of(trade.symbol)
        self._watch(book, trade, dict(states_of(trade, book)), disarmed=())
        if not book.has_ticked_since(trade.entered_at_ms):
            return []
        return self._judge_by_last(book, trade.rule_keys(), settle=trade.entered_tick is None)

    def load(self, trades: Iterable[OpenTrade]) -> None:
        """Add the trades of a checkpoint to an engine without trades; evaluate no tick before `watch_loaded`."""
        for trade in trades:
            book = self.books.of(trade.symbol)
            self.books.trades[trade.trade_id] = trade
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
        for book in self.books:
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
        book = self.books.of(trade.symbol)
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
        book = self.books.of(trade.symbol)
        if known.symbol == trade.symbol:
            book.reprice(scale, effective_ms)
        after = trade._replace(entered_tick=book.ticks, saved={key[1:]: found for key, found in saved.items()})
        self._watch(book, after, dict(states_of(after, book)), disarmed=disarmed, moved=True)
        return saved

    def trade(self, trade_id: UUID) -> OpenTrade | None:
        """Return a trade under evaluation; None if it is unknown."""
        return self.books.trades.get(trade_id)

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
        book = self.books.of(symbol)
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

    def quiet_path(self, symbol: str) -> QuietPath:
        """Return `SymbolBook.pass_quietly` of a symbol, for callers trying it before `on_tick`."""
        return self.books.of(symbol).pass_quietly

    def on_clock(self, now_ms: int) -> list[ExitCandidates]:
        """Evaluate the rules by time, also for symbols without ticks; milliseconds since 1970."""
        fired: dict[str, list[RuleKey]] = {}
        for symbol, key in self._pop_expired(now_ms):
            book = self.books.of(symbol)
            book.expire(key, now_ms)
            if key not in self._disarmed:
                book.disarm(key)
                fired.setdefault(symbol, []).append(key)
        return [
            found for symbol, keys in fired.items() for found in self._emit(self.books.of(symbol), keys, now_ms * 1000)
        ]

    def disarm(self, trade_id: UUID, reason: ExitReason, leg: int | None = None) -> None:
        """Disarm a rule and all lower ranks of a trade, as a live intent does; ignore unknown trades.

        An intent for the whole remainder disarms every leg of its reason; one of a leg leaves the other legs armed.
        """
        book = self.books.of_trade(trade_id)
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
        """Note rules as disarmed and return their candidates, at the time of the last tick unless one is given."""
        if not fired:
            return []
        fired.sort(key=by_trade_then_rank)
        for key in fired:
            self._disarmed[key] = None
        return candidates_of(book, fired, at_us)

    def _pop_expired(self, now_ms: int) -> Iterator[tuple[str, RuleKey]]:
        """Yield the rules with a deadline by now, and their symbols; entries of changed rules are dropped."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            at_ms, key = heappop(self._deadlines)
            trade = self.books.trades.get(key.trade_id)
            if trade is None or key[1:] not in trade.rules:
                continue
            if self.books.of(trade.symbol).rule_state(key).deadline_ms == at_ms:
                yield trade.symbol, key

    def _rearm(self, trade_id: UUID, keys: Sequence[RuleKey]) -> list[ExitCandidates]:
        book = self.books.of(self.books.trades[trade_id].symbol)
        due = [key for key in keys if book.is_due(key)]
        for key in keys:
            del self._disarmed[key]
            if key not in due:
                book.arm(key)
        return self._emit(book, due, None)

    def _let_go(self, trade: OpenTrade) -> tuple[set[RuleKey], dict[RuleKey, RuleState]]:
        """Remove a known trade; return its disarmed rules and its rule states."""
        states = self.books.of(trade.symbol).drop(trade.trade_id)
        disarmed = {key for key in states if key in self._disarmed}
        for key in disarmed:
            del self._disarmed[key]
        return disarmed, states
