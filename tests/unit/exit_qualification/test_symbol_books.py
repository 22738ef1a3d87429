"""The books of a worker's symbols: their order, limits, checkpoints and trades."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from services.exit_qualification.domain.circuit_limits import NO_LIMITS, CircuitLimits
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_hours import every_day
from services.exit_qualification.domain.symbol_book import SymbolBook, SymbolState
from services.exit_qualification.domain.symbol_books import SymbolBooks
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.rule import RuleState
from shared.tick_clock import Lateness
from tests.unit.exit_qualification.examples import open_trade

INFY, TCS, SBIN = "NSE:INFY", "NSE:TCS", "NSE:SBIN"
ONE, UNKNOWN = UUID(int=1), UUID(int=9)
LATE = Lateness(1, 2, 3, is_told=False)
LIMITS = CircuitLimits(day=0, lower=900_0000, upper=1100_0000)
STATE = SymbolState(1000_0000, 5, 2, 3, ticks=4, late=LATE)


@pytest.fixture
def books() -> SymbolBooks:
    """No book yet."""
    return SymbolBooks(60_000, every_day)


def _put(book: SymbolBook, number: int = 1) -> dict[RuleKey, RuleState]:
    """Put a trade into the book of its symbol, and return its rules."""
    trade = open_trade(number)
    rules = {RuleKey(trade.trade_id, reason, leg): state for (reason, leg), state in trade.rules.items()}
    book.put(trade, rules, disarmed=(), moved=False)
    return rules


def test_symbols_stand_in_the_order_of_their_first_mention(books: SymbolBooks) -> None:
    for symbol in (TCS, INFY, TCS, SBIN):
        books.of(symbol)
    assert books.symbols() == [TCS, INFY, SBIN]
    assert books.symbols(known=1) == [INFY, SBIN]
    assert list(books) == [books.of(symbol) for symbol in (TCS, INFY, SBIN)]


@pytest.mark.parametrize("is_mentioned", [False, True])
def test_limits_hold_for_a_symbol_mentioned_before_or_after(books: SymbolBooks, is_mentioned: bool) -> None:
    if is_mentioned:
        books.of(INFY)
    books.limit({INFY: LIMITS})
    assert [books.of(INFY).excludes(price, 0) for price in (899_9999, 900_0000)] == [True, False]
    assert not books.of(TCS).excludes(899_9999, 0)


def test_only_changed_limits_are_told(books: SymbolBooks) -> None:
    assert books.limit({INFY: LIMITS, TCS: NO_LIMITS}) == [INFY]
    assert books.limit({INFY: LIMITS, TCS: LIMITS}) == [TCS]
    assert books.limit({INFY: NO_LIMITS}) == [INFY]


def test_a_trade_is_found_by_its_id(books: SymbolBooks) -> None:
    rules = _put(books.of(INFY))
    assert books.of_trade(ONE) is books.of(INFY)
    assert books.of_trade(UNKNOWN) is None
    assert books.symbols_of([UNKNOWN, ONE]) == {INFY}
    assert books.rule_states(ONE) == rules
    assert books.rule_states(UNKNOWN) == {}


def test_a_symbol_has_trades_once_one_is_put(books: SymbolBooks) -> None:
    assert not books.has_trades(INFY)
    book = books.of(INFY)
    assert not books.has_trades(INFY)
    _put(book)
    assert books.has_trades(INFY)


def test_a_restored_symbol_has_its_state_and_is_saved(books: SymbolBooks) -> None:
    assert books.state(INFY) is None
    books.restore(INFY, STATE)
    assert books.state(INFY) == STATE
    assert books.unsaved([INFY, TCS]) == []


@pytest.mark.parametrize("later", [replace(STATE, ticks=5), replace(STATE, late=LATE._replace(is_told=True))])
def test_a_symbol_is_unsaved_until_its_present_state_is_noted(books: SymbolBooks, later: SymbolState) -> None:
    books.restore(INFY, STATE)
    books.note_saved(INFY, later)
    assert books.unsaved([TCS, INFY]) == [INFY]
    books.note_saved(INFY, STATE)
    assert books.unsaved([TCS, INFY]) == []


def test_moved_rules_are_taken_once_as_checkpoints_keep_them(books: SymbolBooks) -> None:
    trailing = open_trade(trailing_stop={"amount": "10"})
    rules = {RuleKey(ONE, reason, leg): state for (reason, leg), state in trailing.rules.items()}
    books.of(INFY).put(trailing, rules, disarmed=(), moved=True)
    kept = {key: saved for key, state in rules.items() if (saved := state.saved())}
    assert {key.reason for key in kept} == {ExitReason.TRAILING_STOP}
    assert books.take_moved([TCS, INFY]) == {ONE: kept}
    assert books.take_moved([INFY]) == {}
