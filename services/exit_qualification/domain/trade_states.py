"""States of a trade's rules: at entry, from a checkpoint, and after a change of plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.symbol_book import SymbolBook
from shared.exit_rules.rule import RuleState


def states_of(trade: OpenTrade, book: SymbolBook) -> Iterator[tuple[RuleKey, RuleState]]:
    """Yield the states of a new trade: at entry, or from a checkpoint."""
    since = book.ticks if trade.entered_tick is None else trade.entered_tick
    trade_id, saved = trade.trade_id, trade.saved
    for (reason, leg), entry_state in trade.rules.items():
        state = entry_state.restored(saved.get((reason, leg), {})) if saved else entry_state
        if state.trails is not None:
            state = state.marked(max(state.watermark, book.best_since(trade.direction, since)))
        yield RuleKey(trade_id, reason, leg), state


def carried_over(known: OpenTrade, states: Mapping[RuleKey, RuleState], now: OpenTrade) -> dict[RuleKey, RuleState]:
    """Return the states after a change of plan: an unchanged rule keeps its state, a changed one follows it."""
    carried = {}
    for (reason, leg), entry_state in now.rules.items():
        key = RuleKey(now.trade_id, reason, leg)
        before = states.get(key)
        if before is None:
            carried[key] = entry_state
        else:
            carried[key] = before if known.rules[reason, leg] == entry_state else entry_state.following(before)
    return carried
