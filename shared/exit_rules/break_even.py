"""BREAK_EVEN: once in profit by an amount, do not let the trade turn into a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.levels import Level, above, below
from shared.exit_rules.prices import PriceDifference
from shared.exit_rules.rule import BELOW_ALL_PRICES, ExitRule, PlanOption, PlanPart, Position, RuleState, Saved
from shared.exit_rules.scale import PlanScale
from shared.money import Money, money_text, to_units


class BreakEvenPlan(PlanPart):
    """Armed once the profit is `arm` rupees a share; exits when it is back at `offset`, 0 <= offset < arm."""

    arm: PriceDifference
    offset: Annotated[Money, Field(ge=Decimal(0))] = Decimal(0)

    @model_validator(mode="after")
    def _exits_after_it_is_armed(self) -> Self:
        if self.offset >= self.arm:
            raise ValueError("break_even: `offset` must be below `arm`")
        return self


class BreakEvenFields(PlanPart):
    """When the stop moves to the entry price."""

    break_even: BreakEvenPlan | None = None


@dataclass(frozen=True, slots=True)
class ArmedStop(RuleState):
    """A stop at `exit_at` armed once a price reaches `arm_at`."""

    arm_at: int
    exit_at: int
    armed: bool = False

    @property
    def fire(self) -> Level | None:
        """Return the stop once armed."""
        return below(self.exit_at) if self.armed else None

    @property
    def eventual(self) -> Level:
        """Return the stop, armed or not."""
        return below(self.exit_at)

    @property
    def arms_at(self) -> Level | None:
        """Return the arming profit until it is reached."""
        return None if self.armed else above(self.arm_at)

    @property
    def moves(self) -> tuple[Level, ...]:
        """Return the arming profit until it is reached."""
        return () if self.arms_at is None else (self.arms_at,)

    @property
    def reached(self) -> int:
        """Return the arming profit once it was reached."""
        return self.arm_at if self.armed else BELOW_ALL_PRICES

    def moved(self, price: int, *, opening: bool) -> Self:
        """Arm the stop at its profit."""
        return replace(self, armed=True) if price >= self.arm_at else self

    def saved(self) -> Saved:
        """Return whether it is armed."""
        return {"armed": 1} if self.armed else {}

    def restored(self, saved: Saved) -> Self:
        """Return the saved state."""
        return replace(self, armed=bool(saved.get("armed")))


class BreakEven(ExitRule[BreakEvenFields]):
    """Exit at the entry price, give or take the offset, after a profit of `arm`."""

    reason = ExitReason.BREAK_EVEN
    toward = -1
    options = (
        PlanOption("break-even-arm", ("break_even", "arm"), "After this profit a share, exit at the entry price."),
        PlanOption("break-even-offset", ("break_even", "offset"), "Exit at the entry price plus this profit instead."),
    )

    def start(self, plan: BreakEvenFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        if plan.break_even is None:
            return {}
        arm, offset = to_units(plan.break_even.arm), to_units(plan.break_even.offset)
        return {None: ArmedStop(arm_at=position.entry + arm, exit_at=position.entry + offset)}

    def contradictions(self, plan: BreakEvenFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a SHORT stop that no price above zero could arm."""
        stop = plan.break_even
        if stop is None or direction is Direction.LONG or stop.arm < entry_price:
            return []
        return [f"break_even.arm {money_text(stop.arm)} is not below the entry price {money_text(entry_price)}"]

    def scaled(self, plan: BreakEvenFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the new profits for arming and for the exit."""
        stop = plan.break_even
        if stop is None:
            return {}
        return {"break_even": BreakEvenPlan(arm=scale.distance(stop.arm), offset=scale.distance(stop.offset))}
