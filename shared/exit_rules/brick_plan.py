"""Brick fields of a plan, shared by several rules."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.exit_rules.bricks import Bricks
from shared.exit_rules.confirmation import Confirmed
from shared.exit_rules.prices import PriceDifference
from shared.exit_rules.rule import PlanPart, Position, RuleState
from shared.money import to_units

BrickCount = Annotated[int, Field(ge=1, le=100)]


class BrickPlan(PlanPart):
    """Renko bricks of a size in rupees.

    `confirm` is how many bricks a TARGET and a TRAILING_STOP wait for; `reversal` is how many bricks against the
    trade exit it.
    """

    size: PriceDifference
    confirm: BrickCount | None = None
    reversal: BrickCount | None = None

    @model_validator(mode="after")
    def _has_a_use(self) -> Self:
        if self.confirm is None and self.reversal is None:
            raise ValueError("bricks need `confirm` or `reversal`")
        return self


class BrickFields(PlanPart):
    """Bricks of the trade."""

    bricks: BrickPlan | None = None


def bricks_at_entry(plan: BrickPlan, position: Position) -> Bricks:
    """Return the bricks of a trade before its first, anchored to the entry price."""
    return Bricks(to_units(plan.size), position.entry)


def confirmed(state: RuleState, plan: BrickFields, position: Position, *, toward: int) -> RuleState:
    """Return the state, confirmed by bricks if the plan asks for it."""
    if plan.bricks is None or plan.bricks.confirm is None:
        return state
    return Confirmed(state, bricks_at_entry(plan.bricks, position), toward, plan.bricks.confirm)
