"""MANUAL, ACCOUNT_LOSS and EXTERNAL: exits requested from outside a plan."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.rule import ExitRule, PlanPart, Position, RuleState


class Manual(ExitRule[PlanPart]):
    """Exit on an operator's request; a plan cannot ask for it."""

    reason = ExitReason.MANUAL
    planned = False
    expires = False
    resumes = True

    def start(self, plan: PlanPart, position: Position) -> Mapping[int | None, RuleState]:
        """Return nothing to watch."""
        return {}


class AccountLoss(ExitRule[PlanPart]):
    """Exit because the account lost more than its limit; the hold of the account asks again for the remainder."""

    reason = ExitReason.ACCOUNT_LOSS
    planned = False
    expires = False

    def start(self, plan: PlanPart, position: Position) -> Mapping[int | None, RuleState]:
        """Return nothing to watch."""
        return {}


class External(ExitRule[PlanPart]):
    """The position was reduced at the broker by somebody else; the fill is the exit."""

    reason = ExitReason.EXTERNAL
    planned = False

    def start(self, plan: PlanPart, position: Position) -> Mapping[int | None, RuleState]:
        """Return nothing to watch."""
        return {}
