"""Adjustments to corporate actions, from events to the engine's data: pure."""

from __future__ import annotations

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.planned_trade import with_plan
from services.exit_qualification.domain.square_off import SquareOff
from shared.contracts.trades import TradeAdjusted, TradeExitPlanChanged
from shared.exit_rules.scale import Scale
from shared.money import to_units


def adjusted_trade(trade: OpenTrade, told: TradeAdjusted, square_off: SquareOff) -> OpenTrade:
    """Return a trade after a corporate action, with its rules as at the entry."""
    changed = trade._replace(symbol=told.new_symbol, quantity=told.quantity, entry_price=to_units(told.entry_price))
    return with_plan(changed, told.exit_plan, told.plan_version, square_off)


def scale_of(told: TradeAdjusted) -> Scale:
    """Return the change of shares."""
    return Scale(told.shares_before, told.shares_after)


def plan_change_of(told: TradeAdjusted) -> TradeExitPlanChanged:
    """Return the change of the plan in an adjustment."""
    return TradeExitPlanChanged(
        trade_id=told.trade_id,
        symbol=told.new_symbol,
        direction=told.direction,
        product_type=told.product_type,
        user_broker_id=told.user_broker_id,
        plan_version=told.plan_version,
        exit_plan=told.exit_plan,
        changed_at=told.adjusted_at,
    )
