"""Open trades with the rules of a plan, as at their entry."""

from __future__ import annotations

from collections.abc import Mapping

from services.exit_qualification.domain.open_trade import NO_LEGS, NOTHING_SAVED, Facts, OpenTrade, Slot
from services.exit_qualification.domain.square_off import SquareOff
from shared.exit_rules.plan import ExitPlan
from shared.exit_rules.registry import leg_quantities, start_rules
from shared.exit_rules.rule import Position, Saved


def with_plan(trade: OpenTrade, plan: ExitPlan, plan_version: int, square_off: SquareOff) -> OpenTrade:
    """Return a trade with another plan, as at its entry."""
    return planned(trade.facts, plan, plan_version, square_off, trade.entered_tick)


def planned(
    facts: Facts,
    plan: ExitPlan,
    plan_version: int,
    square_off: SquareOff,
    entered_tick: int | None,
    saved: Mapping[Slot, Saved] = NOTHING_SAVED,
) -> OpenTrade:
    """Return the trade of these facts with a plan; `entered_tick` and `saved` are those of its checkpoint."""
    _, symbol, direction, quantity, product_type, _, entry_price, entered_at_ms = facts
    square_off_at_ms = square_off.after_entry_ms(symbol, product_type, entered_at_ms) if plan.square_off else None
    position = Position(direction, entry_price * direction.sign, entered_at_ms, square_off_at_ms)
    legs = leg_quantities(plan, quantity) or NO_LEGS
    return OpenTrade(*facts, start_rules(plan, position), plan_version, entered_tick, saved, legs)
