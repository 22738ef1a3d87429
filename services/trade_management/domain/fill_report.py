"""Fill reports of exit intents and their consistency checks."""

from __future__ import annotations

from collections.abc import Set
from uuid import UUID

from msgspec import Struct

from services.trade_management.domain.fills import Fill, total_quantity
from services.trade_management.domain.trade import MOST_VALUE, Trade
from shared.contracts.vocabulary import Direction


class FillReport(Struct, frozen=True):
    """All fills of one intent so far, from one event.

    Attributes
    ----------
    traceparent:
        Trace context of the event; its effects belong to the same trace.
    """

    event_id: UUID
    trade_id: UUID
    intent_id: UUID
    symbol: str
    direction: Direction
    user_broker_id: str
    fills: tuple[Fill, ...]
    traceparent: str | None = None


def contradiction(report: FillReport, trade: Trade, other_symbols: Set[str] = frozenset()) -> str | None:
    """Return why the report cannot belong to `trade`; None if it can.

    `other_symbols` are those before and after renames of the trade: an order keeps the symbol of its placing.
    """
    symbol = trade.symbol if report.symbol in other_symbols else report.symbol
    reported = (symbol, report.direction, report.user_broker_id)
    expected = (trade.symbol, trade.direction, trade.user_broker_id)
    if reported != expected:
        return f"the trade is {' '.join(expected)}, but the fills are of {' '.join(reported)}"
    filled = total_quantity(report.fills)
    if filled > trade.quantity:
        return f"the intent filled {filled}, more than the trade's quantity of {trade.quantity}"
    if any(fill.value >= MOST_VALUE for fill in report.fills):
        return f"a fill is worth {MOST_VALUE} or more"
    return None
