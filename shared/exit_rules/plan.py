"""ExitPlan: the wire shape of when a trade exits, put together from the fields of every rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import model_validator

from shared.contracts.vocabulary import Direction
from shared.exit_rules.break_even import BreakEvenFields
from shared.exit_rules.registry import RULES
from shared.exit_rules.stop_loss import StopLossFields
from shared.exit_rules.target import TargetFields
from shared.exit_rules.time_exit import TimeFields
from shared.exit_rules.trailing_stop import TrailingStopFields


class ExitPlan(TargetFields, StopLossFields, TrailingStopFields, BreakEvenFields, TimeFields):
    """When a trade exits. Prices in rupees; at least one rule."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("an exit plan needs at least one rule, e.g. a target or a stop_loss")
        return self

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions for a trade of this direction and entry; empty if none."""
        return [found for rule in RULES for found in rule.contradictions(self, direction, entry_price)]
