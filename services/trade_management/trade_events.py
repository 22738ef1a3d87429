"""Trade events of trades.v1.

Importing this module also registers their counters: every process with these events counts them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import services.trade_management.metrics  # noqa: F401  # registers the observers of the events made here
from services.trade_management.domain.closure import Closure, TradeHistory
from services.trade_management.domain.trade import StoredTrade, Trade
from shared.contracts.trades import (
    TradeAdjusted,
    TradeChargesChanged,
    TradeClosed,
    TradeExitPlanChanged,
    TradeOpened,
    TradePartiallyClosed,
)
from shared.contracts.vocabulary import CorporateActionKind
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.scale import Scale


def opened(trade: Trade, plan: ExitPlan) -> TradeOpened:
    """Return the event of an opened trade; the trade may exit from now on."""
    return TradeOpened(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_plan=plan,
        entered_at=trade.entered_at,
    )


def exit_plan_changed(trade: Trade, plan: ExitPlan, plan_version: int, at: datetime) -> TradeExitPlanChanged:
    """Return the event of a changed plan; it applies whole from now on."""
    return TradeExitPlanChanged(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        plan_version=plan_version,
        exit_plan=plan,
        changed_at=at,
    )


def partially_closed(after: TradeHistory, closure: Closure) -> TradePartiallyClosed:
    """Return the event of a partial closure; price and P&L are of this part alone."""
    trade = after.trade
    return TradePartiallyClosed(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        exit_intent_id=closure.exit_intent_id,
        quantity=trade.quantity,
        closed_quantity=closure.quantity,
        open_quantity=trade.open_quantity,
        exit_price=closure.exit_price,
        gross_pnl=closure.gross_pnl,
        charges=closure.charges,
        net_pnl=closure.net_pnl,
        closed_at=closure.closed_at,
        exit_reason=closure.exit_reason,
        leg=closure.target_leg,
    )


def closed(after: TradeHistory, closure: Closure) -> TradeClosed:
    """Return the event of the final closure; price and P&L are of the whole trade."""
    trade = after.trade
    return TradeClosed(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        exit_intent_id=closure.exit_intent_id,
        quantity=trade.quantity,
        entry_price=trade.entry_price,
        exit_price=after.exit_price(),
        exit_reason=closure.exit_reason,
        gross_pnl=after.gross_pnl(),
        charges=after.charges(),
        net_pnl=after.net_pnl(),
        closed_at=closure.closed_at,
    )


def charges_changed(trade: StoredTrade, at: datetime) -> TradeChargesChanged:
    """Return the event of charges replaced by contract notes."""
    assert trade.gross_pnl is not None and trade.charges_status is not None, "only closed trades have final charges"
    return TradeChargesChanged(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        gross_pnl=trade.gross_pnl,
        charges=trade.charges,
        charges_status=trade.charges_status,
        net_pnl=trade.net_pnl,
        changed_at=at,
    )


def adjusted(
    before: StoredTrade,
    after: StoredTrade,
    action_id: UUID,
    kind: CorporateActionKind,
    scale: Scale,
    effective_at: datetime,
    at: datetime,
) -> TradeAdjusted:
    """Return the event of a trade changed by a corporate action."""
    return TradeAdjusted(
        trade_id=before.trade_id,
        symbol=before.symbol,
        direction=before.direction,
        product_type=before.product_type,
        user_broker_id=before.user_broker_id,
        action_id=action_id,
        kind=kind,
        new_symbol=after.symbol,
        shares_before=scale.before,
        shares_after=scale.after,
        quantity=after.quantity,
        open_quantity=after.open_quantity,
        open_quantity_before=before.open_quantity,
        entry_price=after.entry_price,
        plan_version=after.plan_version,
        exit_plan=ExitPlan.model_validate(after.exit_plan),
        effective_at=effective_at,
        adjusted_at=at,
    )
