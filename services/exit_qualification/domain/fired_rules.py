"""Candidates of fired rules, by trade."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from services.exit_qualification.domain.candidates import BrickCount, ExitCandidate, ExitCandidates
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook
from shared.exit_rules.confirmation import Confirmed
from shared.exit_rules.rule import RuleState


def by_trade_then_rank(key: RuleKey) -> tuple[int, int, int]:
    """Return the order of a rule; ids are compared as numbers: Python itself compares UUIDs far more slowly."""
    return key.trade_id.int, key.reason.rank, -1 if key.leg is None else key.leg


def candidates_of(book: SymbolBook, fired: Sequence[RuleKey], at_us: int | None) -> list[ExitCandidates]:
    """Return the candidates of rules ordered by `by_trade_then_rank`, at the symbol's last price.

    Parameters
    ----------
    at_us:
        Microseconds since 1970; None for the time of the last tick, 0 without one.
    """
    price = book.last_price or None
    detected_at_us = (book.last_ts_us if price else 0) if at_us is None else at_us
    return [
        ExitCandidates(
            trade := book.trades[trade_id],
            tuple([_candidate(trade, key, book.rule_state(key), price, detected_at_us) for key in of_trade]),
        )
        for trade_id, of_trade in groupby(fired, key=_trade_id)
    ]


def _trade_id(key: RuleKey) -> UUID:
    return key.trade_id


def _candidate(trade: OpenTrade, key: RuleKey, state: RuleState, price: int | None, at_us: int) -> ExitCandidate:
    trade_id, reason, leg = key
    return ExitCandidate(trade_id, trade.symbol, reason, price, at_us, _level(trade, state), leg, _bricks(state))


def _level(trade: OpenTrade, state: RuleState) -> int | None:
    """Return the market price of the condition's level."""
    level = state.condition
    return None if level is None else level.price * trade.direction.sign


def _bricks(state: RuleState) -> BrickCount | None:
    return BrickCount(state.count, state.needed) if isinstance(state, Confirmed) else None
