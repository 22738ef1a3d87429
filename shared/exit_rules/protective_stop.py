"""Protective stop of a plan: a stop order held by the broker for times when this system cannot exit."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, field_validator, model_validator

from shared.contracts.vocabulary import Direction
from shared.exit_rules.prices import Price, PriceDifference
from shared.exit_rules.rule import PlanPart, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import Money, money_text


class ProtectiveStopTerms(PlanPart):
    """Stop order held at the broker for when this system cannot exit.

    It triggers at `price`, or `offset` rupees beyond `stop_loss`. With `trail_step` it also follows the trailing stop,
    `offset` rupees beyond it, in multiples of `trail_step` rupees.
    """

    kind: Literal["SL-M"] = "SL-M"
    offset: Annotated[Money, Field(ge=Decimal(0))] = Decimal(0)
    price: Price | None = None
    trail_step: PriceDifference | None = None

    @field_validator("kind", mode="before")
    @classmethod
    def _is_a_stop_order(cls, kind: object) -> object:
        if kind != "SL-M":
            raise ValueError("leave `kind` out: the broker holds an SL-M order; GTT and limit orders are not supported")
        return kind

    @model_validator(mode="after")
    def _has_one_trigger(self) -> Self:
        if self.price is not None and self.offset and self.trail_step is None:
            raise ValueError("protective_stop: give `price` or `offset`; with `trail_step` both may be given")
        return self

    def scaled(self, scale: PlanScale) -> ProtectiveStopTerms:
        """Return the terms at their new prices."""
        price, step = self.price, self.trail_step
        return ProtectiveStopTerms(
            kind=self.kind,
            offset=scale.distance(self.offset),
            price=None if price is None else scale.level(price),
            trail_step=None if step is None else scale.distance(step),
        )


class ProtectedPlan(Protocol):
    """Fields of a plan for the trigger of its protective stop."""

    @property
    def stop_loss(self) -> Decimal | None: ...
    @property
    def trailing_stop(self) -> object | None: ...
    @property
    def protective_stop(self) -> ProtectiveStopTerms | None: ...


def fixed_trigger(plan: ProtectedPlan, direction: Direction) -> Decimal | None:
    """Return the trigger in rupees if no price moves it, else None."""
    terms = plan.protective_stop
    if terms is None or terms.price is not None:
        return None if terms is None else terms.price
    return None if plan.stop_loss is None else _beyond(plan.stop_loss, terms.offset, direction)


def follows_trail(plan: ProtectedPlan) -> bool:
    """Return whether the plan's protective stop follows its trailing stop."""
    return plan.protective_stop is not None and plan.protective_stop.trail_step is not None


def followed_trigger(plan: ProtectedPlan, direction: Direction, trail_level: Decimal) -> Decimal | None:
    """Return the trigger in rupees for a trailing stop at this level; None if the plan's does not follow it."""
    terms = plan.protective_stop
    if terms is None or terms.trail_step is None:
        return None
    return away_from_market(_beyond(trail_level, terms.offset, direction), direction, terms.trail_step)


def away_from_market(price: Decimal, direction: Direction, step: Decimal) -> Decimal:
    """Return the trigger as a multiple of a step: never nearer to the market."""
    rounding = ROUND_FLOOR if direction is Direction.LONG else ROUND_CEILING
    return (price / step).to_integral_value(rounding) * step


def inconsistencies(plan: ProtectedPlan, direction: Direction) -> list[str]:
    """Return why the plan's protective stop cannot be placed beside its other rules; empty if it can."""
    terms = plan.protective_stop
    if terms is None:
        return []
    if terms.trail_step is not None and plan.trailing_stop is None:
        return ["protective_stop.trail_step needs a trailing_stop to follow"]
    trigger = fixed_trigger(plan, direction)
    if trigger is None:
        return [] if terms.trail_step is not None else ["protective_stop needs a stop_loss, a price or a trail_step"]
    if trigger <= 0:
        return [f"the trigger {money_text(trigger)} of protective_stop is not above zero"]
    if plan.stop_loss is not None and (trigger - plan.stop_loss) * direction.sign > 0:
        held, stop = money_text(trigger), money_text(plan.stop_loss)
        return [f"protective_stop.price {held} is nearer to the market than stop_loss {stop}"]
    return []


def contradictions(terms: ProtectiveStopTerms | None, direction: Direction, entry_price: Decimal) -> list[str]:
    """Return why a trade cannot be opened with these terms: their price is on the profit side of the entry."""
    if terms is None or terms.price is None or on_profit_side(entry_price, direction, terms.price):
        return []
    held, entry = money_text(terms.price), money_text(entry_price)
    return [f"protective_stop.price {held} is not on the loss side of a {direction} entry at {entry}"]


def _beyond(level: Decimal, offset: Decimal, direction: Direction) -> Decimal:
    return level - direction.sign * offset
