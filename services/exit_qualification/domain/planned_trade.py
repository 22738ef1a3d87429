"""Open trades with the rules of a plan, as at their entry."""

from __future__ import annotations

from dataclasses import replace

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.square_off import SquareOff
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import leg_quantities, start_rules
from shared.exit_rules.rule import Position


def with_plan(trade: OpenTrade, plan: ExitPlan, plan_version: int, square_off: SquareOff) -> OpenTrade:
    """Return a trade with another plan, as at its entry."""
    square_off_at_ms = square_off.after_entry_ms(trade.symbol, trade.product_type, trade.entered_at_ms)
    sign = trade.direction.sign
    position = Position(trade.direction, trade.entry_price * sign, trade.entered_at_ms, square_off_at_ms)
    return replace(
        trade,
        rules=start_rules(plan, position),
        plan_version=plan_version,
        saved={},
        leg_quantities=leg_quantities(plan, trade.quantity),
    )
