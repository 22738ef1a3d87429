"""SymbolBooks: the books of all symbols of a worker, with their circuit limits and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from uuid import UUID

from services.exit_qualification.domain.circuit_limits import NO_LIMITS, CircuitLimits
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import HoursOf
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook, SymbolState
from shared.exit_rules.rule import RuleState, Saved


class SymbolBooks:
    """A book for each symbol mentioned so far. Nothing here fires a rule.

    Attributes
    ----------
    trades:
        Trades of all symbols, by id. Books add and remove them.

    Parameters
    ----------
    new_clock_after_ms:
        See `TickClock`.
    hours:
        Open hours of each symbol.
    """

    def __init__(self, new_clock_after_ms: int, hours: HoursOf) -> None:
        self.trades: dict[UUID, OpenTrade] = {}
        self._new_clock_after_ms = new_clock_after_ms
        self._hours = hours
        self._books: dict[str, SymbolBook] = {}
        self._limits: dict[str, CircuitLimits] = {}

    def __iter__(self) -> Iterator[SymbolBook]:
        return iter(self._books.values())

    def of(self, symbol: str) -> SymbolBook:
        """Return the book of a symbol, a new one at its first mention."""
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = SymbolBook(self.trades, self._new_clock_after_ms, self._hours(symbol))
            book.limit(self._limits.get(symbol, NO_LIMITS))
        return book

    def of_trade(self, trade_id: UUID) -> SymbolBook | None:
        """Return the book with a trade; None if it is unknown."""
        trade = self.trades.get(trade_id)
        return None if trade is None else self._books[trade.symbol]

    def has_trades(self, symbol: str) -> bool:
        """Return whether a trade of the symbol is evaluated."""
        book = self._books.get(symbol)
        return book is not None and book.has_trades

    def limit(self, limits: Mapping[str, CircuitLimits]) -> list[str]:
        """Refuse later ticks beyond the limits of their day; return the symbols with limits not as before.

        No state moves. A checkpoint of these symbols keeps their earlier ticks judged as they were.
        """
        changed = [symbol for symbol, each in limits.items() if self._limits.get(symbol, NO_LIMITS) != each]
        for symbol in changed:
            self._limits[symbol] = limits[symbol]
            if symbol in self._books:
                self._books[symbol].limit(limits[symbol])
        return changed

    def symbols(self, known: int = 0) -> list[str]:
        """Return the symbols in the order of their first mention, without the first `known` ones."""
        return list(islice(self._books, known, None))

    def symbols_of(self, trade_ids: Iterable[UUID]) -> set[str]:
        """Return the symbols of these trades; leave out unknown trades."""
        return {self.trades[trade_id].symbol for trade_id in trade_ids if trade_id in self.trades}

    def state(self, symbol: str) -> SymbolState | None:
        """Return the checkpoint of a symbol; None without a tick."""
        book = self._books.get(symbol)
        return book.state if book else None

    def restore(self, symbol: str, state: SymbolState) -> None:
        """Restore a symbol from its checkpoint."""
        self.of(symbol).restore(state)

    def rule_states(self, trade_id: UUID) -> dict[RuleKey, RuleState]:
        """Return the state of every rule of a trade; an unknown trade gives an empty dict."""
        book = self.of_trade(trade_id)
        return {} if book is None else {key: book.rule_state(key) for key in self.trades[trade_id].rule_keys()}

    def unsaved(self, symbols: Iterable[str]) -> list[str]:
        """Return those of these symbols changed since their last checkpoint; leave out unknown symbols."""
        books = self._books
        return [symbol for symbol in symbols if symbol in books and books[symbol].is_unsaved]

    def note_saved(self, symbol: str, state: SymbolState) -> None:
        """Record this state of a symbol as held by a checkpoint."""
        book = self._books[symbol]
        book.saved_ticks, book.saved_late = state.ticks, state.late

    def take_moved(self, symbols: Iterable[str]) -> dict[UUID, dict[RuleKey, Saved]]:
        """Return the checkpoints of these symbols' trades with rules moved since the last call."""
        moved: dict[UUID, dict[RuleKey, Saved]] = {}
        for symbol in symbols:
            book = self.of(symbol)
            for trade_id in book.take_moved():
                keys = self.trades[trade_id].rule_keys()
                moved[trade_id] = {key: saved for key in keys if (saved := book.rule_state(key).saved())}
        return moved
