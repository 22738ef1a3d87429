"""ExitPlan: the wire shape of when a trade exits, put together from the fields of every rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import ValidationError, model_validator

from shared.contracts.vocabulary import Direction
from shared.errors import InvalidInput
from shared.exit_rules.break_even import BreakEvenFields
from shared.exit_rules.registry import RULES
from shared.exit_rules.stop_loss import StopLossFields
from shared.exit_rules.target import TargetFields
from shared.exit_rules.time_exit import TimeFields
from shared.exit_rules.trailing_stop import TrailingStopFields


class PlanFields(TargetFields, StopLossFields, TrailingStopFields, BreakEvenFields, TimeFields):
    """The fields of every rule, each optional."""


class ExitPlan(PlanFields):
    """When a trade exits. Prices in rupees; at least one rule."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("an exit plan needs at least one rule, e.g. a target or a stop_loss")
        return self

    def changed(self, change: PlanFields) -> ExitPlan:
        """Return the plan with the given fields replaced whole; a field given as null is removed.

        Raises
        ------
        InvalidInput
            No rule would be left.
        """
        given = {name: getattr(change, name) for name in change.model_fields_set & PlanFields.model_fields.keys()}
        kept = {name: getattr(self, name) for name in PlanFields.model_fields}
        try:
            return ExitPlan(**(kept | given))
        except ValidationError as error:
            raise InvalidInput("; ".join(item["msg"] for item in error.errors())) from error

    def contradictions(self, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions for a trade of this direction and entry; empty if none."""
        return [found for rule in RULES for found in rule.contradictions(self, direction, entry_price)]

    def change_contradictions(self, before: ExitPlan) -> list[str]:
        """Return why an open trade with the plan `before` cannot take this plan; empty if it can."""
        return [found for rule in RULES for found in rule.change_contradictions(before, self)]
