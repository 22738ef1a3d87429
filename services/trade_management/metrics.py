"""Metrics of trade management."""

from __future__ import annotations

from shared.contracts.trades import TradeExitPlanChanged, TradeOpened
from shared.outbox.after_commit import after_commit
from shared.runtime.telemetry import counter, histogram

TRADES_OPENED = counter("trades_opened", "trades opened")
PLANS_CHANGED = counter("trades_exit_plans_changed", "exit plans changed")
PRICES_UNKNOWN = counter("trade_last_prices_unknown", "plans taken without a last price, as exit-api did not answer")
TRADES_CLOSED = counter("trades_closed", "trades closed", "reason")
TRADES_PARTIALLY_CLOSED = counter("trades_partially_closed", "partial closures", "reason")
LATE_FILLS = counter("trade_fills_late", "fills of already closed trades")
EXCESS_SHARES = counter("trade_fills_excess_shares", "shares filled beyond the open quantity: the position is not flat")
DEAD_LETTERS = counter("trade_fills_dead_letters", "records handed to the dead-letter topic", "code")
IGNORED = counter("trade_fills_ignored", "records of an unknown type or one without fills", "kind")
BATCH_SECONDS = histogram("trade_fills_batch_seconds", "from records in hand to their commit")
FILL_TO_CLOSE_SECONDS = histogram(
    "trade_fill_to_close_seconds", "from a trade's last fill to the commit of its closure"
)


@after_commit(TradeOpened)
def _count_opened(_: TradeOpened) -> None:
    TRADES_OPENED.inc()


@after_commit(TradeExitPlanChanged)
def _count_plan_changed(_: TradeExitPlanChanged) -> None:
    PLANS_CHANGED.inc()
