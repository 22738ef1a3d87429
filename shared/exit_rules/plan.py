"""ExitPlan: the wire shape of when a trade exits, put together from the fields of every rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import ValidationError, model_validator

from shared.contracts.vocabulary import Direction, ExitReason
from shared.errors import InvalidInput
from shared.exit_rules.break_even import BreakEvenFields
from shared.exit_rules.consistency import contradictory_pairs, met_by
from shared.exit_rules.registry import RULES, start_rules
from shared.exit_rules.rule import Position, RuleState
from shared.exit_rules.stop_loss import StopLossFields
from shared.exit_rules.target import TargetFields
from shared.exit_rules.time_exit import TimeFields
from shared.exit_rules.trailing_stop import TrailingStopFields
from shared.money import money_text, to_units


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
        own = [found for rule in RULES for found in rule.contradictions(self, direction, entry_price)]
        return own + self._inconsistencies(direction, entry_price)

    def change_contradictions(self, before: ExitPlan, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return why an open trade with the plan `before` cannot take this plan; empty if it can.

        A stop may be on the profit side of the entry then, and a target on its loss side.
        """
        own = [found for rule in RULES for found in rule.change_contradictions(before, self)]
        return own + self._inconsistencies(direction, entry_price)

    def met_by(self, price: Decimal, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the rules that a market price in rupees meets; empty if the plan does not exit at once."""
        return met_by(self._states(direction, entry_price), direction, to_units(price))

    def off_tick(self, tick_size: Decimal) -> list[str]:
        """Return the prices that are no multiple of a tick size, at which a market never trades."""
        prices = [each for rule in RULES for each in rule.prices(self).items()]
        return [
            f"{name} {money_text(price)} is not a multiple of the tick size {money_text(tick_size)}"
            for name, price in prices
            if price % tick_size
        ]

    def _inconsistencies(self, direction: Direction, entry_price: Decimal) -> list[str]:
        states = self._states(direction, entry_price)
        if not states:
            return ["no rule of the plan can exit the trade; add e.g. a target or a stop_loss"]
        return contradictory_pairs(states, direction)

    def _states(self, direction: Direction, entry_price: Decimal) -> dict[tuple[ExitReason, int | None], RuleState]:
        entry = to_units(entry_price) * direction.sign
        return start_rules(self, Position(direction, entry, entered_at_ms=0, square_off_at_ms=0))
