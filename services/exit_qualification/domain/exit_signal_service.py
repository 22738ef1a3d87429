"""Trade qualification: a tick of a symbol against every open trade on it; candidates out, and nothing else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import groupby, islice
from uuid import UUID

from services.exit_qualification.domain.candidates import (
    QUIET,
    REFUSED,
    ExitCandidate,
    ExitCandidates,
    TickVerdict,
)
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook, SymbolState
from services.exit_qualification.domain.triggers import Trigger
from shared.contracts.vocabulary import ExitReason
from shared.tick_clock import NEW_CLOCK_AFTER_MS, TickOrder

_NEWEST = TickOrder.NEWEST


class ExitSignalService:
    """The engine of one worker. No I/O, no clock: the same calls always give the same answers.

    A trigger that fired is disarmed in the same call, so that the next tick does not say it again. What is disarmed
    is a hint and no more: the database alone knows whether an exit is live or under cooldown, and the caller rearms
    what it finds eligible.

    After a restart, restore the symbols, add the trades, and disarm what has an episode: rearming then finds again
    what was due on symbols that do not trade.

    Parameters
    ----------
    new_clock_after_ms:
        As of `TickClock`.
    """

    def __init__(self, new_clock_after_ms: int = NEW_CLOCK_AFTER_MS) -> None:
        self._new_clock_after_ms = new_clock_after_ms
        self._books: dict[str, SymbolBook] = {}
        self._symbol_of: dict[UUID, str] = {}
        self._disarmed: OrderedDict[tuple[UUID, ExitReason], None] = OrderedDict()

    def add_trade(self, trade: OpenTrade) -> list[ExitCandidates]:
        """Judge a trade from now on.

        Ticks can overtake the news of a trade. If the symbol's last one arrived when the trade was entered or later,
        the trade is judged by it at once, and what it meets has fired; a price from before the entry fires nothing.
        A trade that is known already takes the new facts; its disarmed reasons stay disarmed, so that a repeated
        event changes nothing.
        """
        is_new = trade.trade_id not in self._symbol_of
        disarmed = self._let_go(trade.trade_id)
        self._symbol_of[trade.trade_id] = trade.symbol
        book = self._book(trade.symbol)
        book.put(trade)
        for reason, trigger in book.trades[trade.trade_id].triggers.items():
            if reason in disarmed:
                self._disarmed[trade.trade_id, reason] = None
            else:
                book.armed.arm(trigger)
        overtaken = is_new and book.has_ticked_since(trade.entered_at_ms)
        return self._judge_by_last(book, trade.trade_id) if overtaken else []

    def remove_trade(self, trade_id: UUID) -> None:
        """Judge a trade no more; nothing if it is not known."""
        self._let_go(trade_id)

    def on_tick(self, symbol: str, price_units: int, ts_us: int, seq: int, arrived_ms: int = 0) -> TickVerdict:
        """Judge a tick.

        Parameters
        ----------
        price_units:
            Last traded price in 1/10,000 rupee, above 0.
        ts_us, seq:
            Order the ticks of a symbol's producer, as `TickClock` says; microseconds since 1970.
        arrived_ms:
            When it came to Kafka, in milliseconds since 1970; 0 if that is not known.
        """
        book = self._book(symbol)
        order = book.take(ts_us, seq, arrived_ms)
        if order is _NEWEST:
            book.last_price = price_units
            if book.armed.nearest_below < price_units < book.armed.nearest_above:
                return QUIET
        elif order is TickOrder.NEW_CLOCK:
            book.last_price = price_units
        else:
            return REFUSED[order]
        fired = book.armed.fire(price_units)
        return TickVerdict(True, tuple(self._emit(book, fired, price_units, book.last_ts_us)), order)

    def disarm(self, trade_id: UUID, reason: ExitReason) -> None:
        """Keep a reason and all lower ranks of a trade from firing, as a live intent does; unknown: nothing."""
        book = self._book_of(trade_id)
        if book is None:
            return
        for each, trigger in book.trades[trade_id].triggers.items():
            if each.rank >= reason.rank:
                book.armed.disarm(trigger)
                self._disarmed[trade_id, each] = None

    def rearm(self, trade_id: UUID, reasons: Iterable[ExitReason]) -> list[ExitCandidates]:
        """Let disarmed reasons of a trade fire again.

        Those that the symbol's last price meets are due at once, at that price and the time of its tick, so that a
        symbol that does not trade exits too; having fired they are disarmed again. Reasons that are not disarmed
        are left alone; an unknown trade gives an empty list.
        """
        book = self._book_of(trade_id)
        back = sorted({reason for reason in reasons if (trade_id, reason) in self._disarmed}, key=_rank)
        if book is None or not back:
            return []
        due = book.due(trade_id, back)
        for reason in back:
            del self._disarmed[trade_id, reason]
            trigger = book.trades[trade_id].triggers[reason]
            if trigger not in due:
                book.armed.arm(trigger)
        state = book.state
        return self._emit(book, due, state.last_price, state.last_ts_us) if state else []

    def disarmed(self, limit: int) -> list[tuple[UUID, ExitReason]]:
        """At most `limit` disarmed reasons to ask the database about; repeated calls come round to every one."""
        asked = list(islice(self._disarmed, limit))
        for key in asked:
            self._disarmed.move_to_end(key)
        return asked

    def symbol_state(self, symbol: str) -> SymbolState | None:
        """What a checkpoint must keep of a symbol; None if it has not ticked."""
        book = self._books.get(symbol)
        return book.state if book else None

    def restore_symbol(self, symbol: str, state: SymbolState) -> None:
        """Take up a symbol from its checkpoint. Fires nothing."""
        self._book(symbol).restore(state)

    def _judge_by_last(self, book: SymbolBook, trade_id: UUID) -> list[ExitCandidates]:
        due = book.due(trade_id, book.trades[trade_id].triggers)
        for trigger in due:
            book.armed.disarm(trigger)
        state = book.state
        return self._emit(book, due, state.last_price, state.last_ts_us) if state else []

    def _emit(self, book: SymbolBook, fired: list[Trigger], price: int, ts_us: int) -> list[ExitCandidates]:
        fired.sort(key=_by_trade_then_rank)
        for trigger in fired:
            self._disarmed[trigger.trade_id, trigger.reason] = None
        return [
            ExitCandidates(
                trade := book.trades[trade_id].trade,
                tuple(ExitCandidate(trade_id, trade.symbol, each.reason, price, ts_us) for each in of_trade),
            )
            for trade_id, of_trade in groupby(fired, key=_trade_id)
        ]

    def _let_go(self, trade_id: UUID) -> set[ExitReason]:
        """Drop a trade if it is known; returns the reasons of it that were disarmed."""
        symbol = self._symbol_of.pop(trade_id, None)
        if symbol is None:
            return set()
        reasons = self._books[symbol].drop(trade_id).triggers
        disarmed = {reason for reason in reasons if (trade_id, reason) in self._disarmed}
        for reason in disarmed:
            del self._disarmed[trade_id, reason]
        return disarmed

    def _book(self, symbol: str) -> SymbolBook:
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = SymbolBook(self._new_clock_after_ms)
        return book

    def _book_of(self, trade_id: UUID) -> SymbolBook | None:
        symbol = self._symbol_of.get(trade_id)
        return None if symbol is None else self._books[symbol]


def _rank(reason: ExitReason) -> int:
    return reason.rank


def _trade_id(trigger: Trigger) -> UUID:
    return trigger.trade_id


def _by_trade_then_rank(trigger: Trigger) -> tuple[UUID, int]:
    return trigger.trade_id, trigger.reason.rank
