"""TIME: exit after the maximum holding time, or at the product's square-off time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import Field

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.levels import ALWAYS, Level
from shared.exit_rules.rule import ExitRule, PlanOption, PlanPart, Position, RuleState
from shared.exit_rules.scale import PlanScale

SECONDS_OF_A_YEAR = 366 * 24 * 3600


class TimeFields(PlanPart):
    """How long the trade is held, and whether it is squared off at the end of its day."""

    max_hold_s: Annotated[int, Field(ge=1, le=SECONDS_OF_A_YEAR)] | None = None
    square_off: bool | None = None


@dataclass(frozen=True, slots=True)
class Deadline(RuleState):
    """Holds from an instant on."""

    at_ms: int
    over: bool = False

    @property
    def fire(self) -> Level | None:
        """Return a level for every price once the deadline has passed."""
        return ALWAYS if self.over else None

    @property
    def condition(self) -> None:
        """Return None: no price alone decides a deadline."""
        return None

    @property
    def deadline_ms(self) -> int | None:
        """Return the deadline until it has passed."""
        return None if self.over else self.at_ms

    def expired(self, now_ms: int) -> Self:
        """Return the state at an instant."""
        return replace(self, over=now_ms >= self.at_ms)


class TimeExit(ExitRule[TimeFields]):
    """Exit after `max_hold_s` seconds, or at the square-off time of the product, whichever comes first."""

    reason = ExitReason.TIME
    expires = False
    by_price = False
    options = (
        PlanOption("max-hold", ("max_hold_s",), "Exit after this many seconds.", int),
        PlanOption("square-off", ("square_off",), "Exit at the square-off time of the product.", bool),
    )

    def start(self, plan: TimeFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        deadlines = []
        if plan.max_hold_s is not None:
            deadlines.append(position.entered_at_ms + plan.max_hold_s * 1000)
        if plan.square_off and position.square_off_at_ms is not None:
            deadlines.append(position.square_off_at_ms)
        return {None: Deadline(min(deadlines))} if deadlines else {}

    def scaled(self, plan: TimeFields, scale: PlanScale) -> Mapping[str, object]:
        """Return nothing: times do not change."""
        return {}
