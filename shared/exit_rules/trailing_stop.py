"""TRAILING_STOP: a stop following the best price since entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.brick_plan import BrickFields, confirmed
from shared.exit_rules.levels import Level, above, below
from shared.exit_rules.prices import PriceDifference
from shared.exit_rules.rule import Distance, ExitRule, PlanOption, PlanPart, Position, RuleState, Saved
from shared.exit_rules.scale import PlanScale
from shared.money import Money, money_text, to_units

PPM_PER_PERCENT = 10_000


class TrailingStopPlan(PlanPart):
    """Trail by an `amount` in rupees, by a `percent` of the best price, or by `distance` in whole steps of `step`."""

    amount: PriceDifference | None = None
    percent: Annotated[Money, Field(gt=Decimal(0), lt=Decimal(100))] | None = None
    step: PriceDifference | None = None
    distance: PriceDifference | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        given = {name for name in ("amount", "percent", "step", "distance") if getattr(self, name) is not None}
        if given not in ({"amount"}, {"percent"}, {"step", "distance"}):
            raise ValueError("trailing_stop: give `amount`, or `percent`, or `step` and `distance`")
        return self


class TrailingStopFields(BrickFields):
    """How the stop trails."""

    trailing_stop: TrailingStopPlan | None = None


@dataclass(frozen=True, slots=True)
class Trailing(RuleState):
    """A stop at a distance behind the best price; the engine keeps the watermark for many trades at once."""

    behind: Distance
    best: int

    @property
    def fire(self) -> Level:
        """Return the stop at its distance from the watermark."""
        return below(self.behind.level(self.best))

    @property
    def trails(self) -> Distance:
        """Return the distance."""
        return self.behind

    @property
    def watermark(self) -> int:
        """Return the best profit price since entry, the entry included."""
        return self.best

    @property
    def reached(self) -> int:
        """Return the watermark."""
        return self.best

    def moved(self, price: int, *, opening: bool) -> Self:
        """Follow a better price."""
        return replace(self, best=price) if price > self.best else self

    def marked(self, watermark: int) -> Self:
        """Return the state with this watermark."""
        return replace(self, best=watermark)

    def saved(self) -> Saved:
        """Return the watermark."""
        return {"best": self.best}

    def restored(self, saved: Saved) -> Self:
        """Return the saved state."""
        return replace(self, best=saved["best"]) if saved else self


@dataclass(frozen=True, slots=True)
class SteppedTrail(RuleState):
    """A stop moving by whole steps of profit since entry."""

    entry: int
    step: int
    distance: int
    steps: int = 0

    @property
    def fire(self) -> Level:
        """Return the stop behind the last whole step."""
        return below(self.entry + self.steps * self.step - self.distance)

    @property
    def moves(self) -> tuple[Level, ...]:
        """Return the next step's level."""
        return (above(self.entry + (self.steps + 1) * self.step),)

    @property
    def reached(self) -> int:
        """Return the price of the last whole step."""
        return self.entry + self.steps * self.step

    def moved(self, price: int, *, opening: bool) -> Self:
        """Take every whole step up to a price."""
        reached = (price - self.entry) // self.step
        return replace(self, steps=reached) if reached > self.steps else self

    def saved(self) -> Saved:
        """Return the steps taken."""
        return {"steps": self.steps} if self.steps else {}

    def restored(self, saved: Saved) -> Self:
        """Return the saved state."""
        return replace(self, steps=saved.get("steps", 0))


class TrailingStop(ExitRule[TrailingStopFields]):
    """Exit when the price falls back from its best since entry."""

    reason = ExitReason.TRAILING_STOP
    toward = -1
    options = (
        PlanOption("trail", ("trailing_stop", "amount"), "Exit this many rupees behind the best price."),
        PlanOption("trail-percent", ("trailing_stop", "percent"), "Exit this many percent behind the best price."),
        PlanOption("trail-step", ("trailing_stop", "step"), "Move the stop in whole steps of this many rupees."),
        PlanOption("trail-distance", ("trailing_stop", "distance"), "Distance of a stepped trailing stop."),
    )

    def start(self, plan: TrailingStopFields, position: Position) -> Mapping[int | None, RuleState]:
        """Return one state for the whole remainder."""
        trail = plan.trailing_stop
        if trail is None:
            return {}
        return {None: confirmed(_state(trail, position.entry), plan, position, toward=self.toward)}

    def scaled(self, plan: TrailingStopFields, scale: PlanScale) -> Mapping[str, object]:
        """Return the stop with its new distances; a percentage stays."""
        trail = plan.trailing_stop
        if trail is None:
            return {}
        given = {name: getattr(trail, name) for name in ("amount", "step", "distance")}
        changed = {name: scale.distance(value) for name, value in given.items() if value is not None}
        return {"trailing_stop": TrailingStopPlan(percent=trail.percent, **changed)}

    def contradictions(self, plan: TrailingStopFields, direction: Direction, entry_price: Decimal) -> list[str]:
        """Reject a LONG stop if it could only trail below zero."""
        trail = plan.trailing_stop
        behind = None if trail is None else trail.amount or trail.distance
        if behind is None or direction is Direction.SHORT or behind < entry_price:
            return []
        return [f"trailing_stop {money_text(behind)} is not below the entry price {money_text(entry_price)}"]


def _state(trail: TrailingStopPlan, entry: int) -> RuleState:
    if trail.step is not None and trail.distance is not None:
        return SteppedTrail(entry, to_units(trail.step), to_units(trail.distance))
    if trail.percent is not None:
        return Trailing(Distance(ppm=int(trail.percent * PPM_PER_PERCENT)), entry)
    assert trail.amount is not None
    return Trailing(Distance(amount=to_units(trail.amount)), entry)
