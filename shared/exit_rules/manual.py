"""MANUAL, ACCOUNT_LOSS and EXTERNAL: exits requested from outside a plan."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.rule import ExitRule, PlanPart, Position, RuleState
from shared.exit_rules.scale import PlanScale


class _Requested(ExitRule[PlanPart]):
    """Not asked for by a plan."""

    planned = False
    by_price = False

    def start(self, plan: PlanPart, position: Position) -> Mapping[int | None, RuleState]:
        """Return nothing to watch."""
        return {}

    def scaled(self, plan: PlanPart, scale: PlanScale) -> Mapping[str, object]:
        """Return nothing: no field of a plan is of this rule."""
        return {}


class Manual(_Requested):
    """Exit on an operator's request; a plan cannot ask for it."""

    reason = ExitReason.MANUAL
    expires = False
    resumes = True


class AccountLoss(_Requested):
    """Exit because the account lost more than its limit; the hold of the account asks again for the remainder."""

    reason = ExitReason.ACCOUNT_LOSS
    expires = False


class External(_Requested):
    """The position was reduced at the broker by somebody else; the fill is the exit."""

    reason = ExitReason.EXTERNAL
