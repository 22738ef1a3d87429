"""RULES: one object for every exit reason, highest rank first."""

from __future__ import annotations

from typing import Final, assert_never

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.break_even import BreakEven
from shared.exit_rules.brick_reversal import BrickReversal
from shared.exit_rules.manual import AccountLoss, External, Manual
from shared.exit_rules.rule import AnyRule, ExitRule, PlanPart, Position, RuleState
from shared.exit_rules.stop_loss import StopLoss
from shared.exit_rules.target import Target
from shared.exit_rules.time_exit import TimeExit
from shared.exit_rules.trailing_stop import TrailingStop


def rule_of(reason: ExitReason) -> AnyRule:
    """Return the rule of a reason; mypy refuses a reason without one."""
    match reason:
        case ExitReason.MANUAL:
            return Manual()
        case ExitReason.STOP_LOSS:
            return StopLoss()
        case ExitReason.ACCOUNT_LOSS:
            return AccountLoss()
        case ExitReason.TRAILING_STOP:
            return TrailingStop()
        case ExitReason.BREAK_EVEN:
            return BreakEven()
        case ExitReason.TARGET:
            return Target()
        case ExitReason.BRICK_REVERSAL:
            return BrickReversal()
        case ExitReason.TIME:
            return TimeExit()
        case ExitReason.EXTERNAL:
            return External()
        case _:
            assert_never(reason)


RULES: Final[tuple[AnyRule, ...]] = tuple(rule_of(reason) for reason in ExitReason)

_PLANNED: Final = tuple((rule, (rule.reason, None)) for rule in RULES if rule.planned)
"""Rules of a plan, each with its key for the whole remainder; all trades share the keys."""

_WITH_LEGS: Final = tuple(rule for rule in RULES if type(rule).leg_quantities is not ExitRule.leg_quantities)


def start_rules(plan: PlanPart, position: Position) -> dict[tuple[ExitReason, int | None], RuleState]:
    """Return where every rule of a plan stands at entry, by reason and leg, highest rank first."""
    states: dict[tuple[ExitReason, int | None], RuleState] = {}
    for rule, whole in _PLANNED:
        if by_leg := rule.start(plan, position):
            for leg, state in by_leg.items():
                states[whole if leg is None else (whole[0], leg)] = state
    return states


def leg_quantities(plan: PlanPart, quantity: int) -> dict[tuple[ExitReason, int], int]:
    """Return the quantity of every leg of a plan, by reason and leg."""
    return {
        (rule.reason, leg): part for rule in _WITH_LEGS for leg, part in rule.leg_quantities(plan, quantity).items()
    }
