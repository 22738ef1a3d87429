"""Why an unsent exit is given up."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit
from shared.exit_rules.registry import rule_of
from shared.money import from_units, to_units


def why_give_up(locked: LockedExit, last_price: Decimal | None, now: datetime) -> CancelReason | None:
    """Return why a waiting exit must be cancelled; None if it may wait."""
    intent = locked.intent
    if not intent.executable:
        return CancelReason.DARK
    if intent.expires_at is not None and intent.expires_at <= now:
        return CancelReason.EXPIRED
    gone = _plan_dropped(locked, last_price) or _condition_is_gone(intent, last_price)
    return CancelReason.CONDITION_GONE if gone else None


def _plan_dropped(locked: LockedExit, last_price: Decimal | None) -> bool:
    """Return whether a changed plan no longer asks for a waiting exit: the rule is gone, or its level is not met."""
    intent, trade = locked.intent, locked.trade.trade
    if trade.has_dropped(intent.exit_reason, intent.leg):
        return True
    state = trade.rules.get((intent.exit_reason, intent.leg))
    if trade.plan_version == 1 or state is None:
        return False
    moved = state.fixed_level is not None and intent.exit_level != from_units(state.fixed_level * trade.direction.sign)
    return moved and last_price is not None and not state.holds(to_units(last_price) * trade.direction.sign)


def _condition_is_gone(intent: ExitIntent, last_price: Decimal | None) -> bool:
    """Return whether the market has moved back; False without a price or a level."""
    rule = rule_of(intent.exit_reason)
    if not rule.expires or last_price is None or intent.exit_level is None:
        return False
    return not rule.still_holds(intent.direction, to_units(intent.exit_level), to_units(last_price))
