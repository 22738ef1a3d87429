"""Candidates of fired rules tell price, level, time, leg and bricks."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock
from uuid import UUID

from services.exit_qualification.domain.candidates import BrickCount, ExitCandidate
from services.exit_qualification.domain.fired_rules import by_trade_then_rank, candidates_of
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.symbol_book import SymbolBook
from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.confirmation import Confirmed
from shared.exit_rules.fixed_level import FixedLevel
from shared.exit_rules.levels import above
from shared.exit_rules.rule import RuleState
from tests.unit.exit_qualification.examples import open_trade

ONE, TWO = UUID(int=1), UUID(int=2)
TARGET, STOP_LOSS = ExitReason.TARGET, ExitReason.STOP_LOSS
AT_TARGET = FixedLevel(above(1010_0000))


def _candidates(
    keys: Sequence[RuleKey],
    *,
    state: RuleState = AT_TARGET,
    direction: Direction = Direction.LONG,
    last: tuple[int, int] = (1011_0000, 7),
    at_us: int | None = None,
) -> list[list[ExitCandidate]]:
    """Return the candidates of rules in this state, after the last price and its time."""
    trades = {trade_id: open_trade(trade_id.int, direction=direction) for trade_id in (ONE, TWO)}
    book = Mock(SymbolBook, trades=trades, last_price=last[0], last_ts_us=last[1])
    book.rule_state.return_value = state
    return [list(each.candidates) for each in candidates_of(book, keys, at_us)]


def test_the_whole_trade_stands_before_its_legs() -> None:
    ordered = [
        RuleKey(ONE, STOP_LOSS),
        RuleKey(ONE, TARGET),
        RuleKey(ONE, TARGET, 1),
        RuleKey(ONE, TARGET, 2),
        RuleKey(TWO, STOP_LOSS),
    ]
    nth = [2, 4, 1, 3, 0]
    assert sorted([ordered[n] for n in nth], key=by_trade_then_rank) == ordered


def test_rules_of_a_trade_are_candidates_together() -> None:
    keys = [RuleKey(ONE, STOP_LOSS), RuleKey(ONE, TARGET, 2), RuleKey(TWO, TARGET)]
    assert [[each.rule_key for each in of_trade] for of_trade in _candidates(keys)] == [keys[:2], keys[2:]]


def test_a_candidate_has_the_last_time_or_another() -> None:
    key = RuleKey(ONE, TARGET)
    at_tick = ExitCandidate(ONE, "NSE:INFY", TARGET, 1011_0000, 7, level=1010_0000)
    assert _candidates([key]) == [[at_tick]]
    [[at_clock]] = _candidates([key], at_us=0)
    assert at_clock.detected_at_us == 0


def test_a_candidate_without_a_tick_has_no_price_or_time() -> None:
    [[candidate]] = _candidates([RuleKey(ONE, TARGET)], last=(0, 7))
    assert (candidate.detected_price, candidate.detected_at_us) == (None, 0)


def test_the_level_of_a_short_trade_is_a_market_price() -> None:
    state = FixedLevel(above(-990_0000))
    [[candidate]] = _candidates([RuleKey(ONE, TARGET)], state=state, direction=Direction.SHORT)
    assert candidate.level == 990_0000


def test_a_confirmed_candidate_tells_its_bricks() -> None:
    state = Confirmed(AT_TARGET, Mock(), toward=1, needed=3, waiting=True, count=4)
    [[candidate]] = _candidates([RuleKey(ONE, TARGET)], state=state)
    assert candidate.bricks == BrickCount(4, 3)
    [[other]] = _candidates([RuleKey(ONE, TARGET)])
    assert other.bricks is None
