"""Faults on request. A rule is data: what it matches, how often, and an effect; a new fault is a new effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.paper_broker.kite_errors import ErrorType
from services.paper_broker.orders import FillPlan, Stage
from shared.contracts.trades import Symbol

Message = Annotated[str, Field(max_length=1000)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class _Effect(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refuse(_Effect):
    """The order is not accepted: the call is answered with this error and the book never shows the order."""

    kind: Literal["refuse"] = "refuse"
    error_type: ErrorType = "OrderException"
    message: Message = "Order refused on request."
    http_status: int | None = Field(None, ge=400, le=599)


class Reject(_Effect):
    """The order is accepted, then stands REJECTED in the book with this message."""

    kind: Literal["reject"] = "reject"
    message: Message = "RMS: rejected on request."


class DelayFill(_Effect):
    """Nothing of the order fills before `ms` have passed."""

    kind: Literal["delay_fill"] = "delay_fill"
    ms: Milliseconds


class PartialFill(_Effect):
    """Only `quantity` fills; the rest after `rest_after_ms`, or never if that is not given."""

    kind: Literal["partial_fill"] = "partial_fill"
    quantity: int = Field(ge=0, le=10**9)
    rest_after_ms: Milliseconds | None = None


class DropAnswer(_Effect):
    """The order is accepted, but after `after_ms` the connection is cut instead of answered."""

    kind: Literal["drop_answer"] = "drop_answer"
    after_ms: Milliseconds


Effect = Annotated[Refuse | Reject | DelayFill | PartialFill | DropAnswer, Field(discriminator="kind")]
EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


class FaultRequest(BaseModel):
    """A rule to add: the next `count` orders of `symbol` (of any symbol if not given) meet the effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Symbol | None = None
    count: int | None = Field(1, ge=1, le=10**9, description="null means until the rule is removed")
    effect: Effect


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A rule in force; `remaining` is None for one that does not wear out."""

    rule_id: int
    symbol: str | None
    remaining: int | None
    effect: Effect


@dataclass(frozen=True, slots=True)
class Placement:
    """What the rules in force make of one order."""

    refusal: Refuse | None = None
    rejection: Reject | None = None
    fill_plan: FillPlan = ()
    drop_after_ms: int | None = None


def rules_met(rules: Sequence[FaultRule]) -> list[FaultRule]:
    """The rules that one order meets: of every kind of effect the oldest, so that rules queue up.

    A refusal comes alone: an order that is not accepted meets nothing else.
    """
    oldest: dict[str, FaultRule] = {}
    for rule in rules:
        oldest.setdefault(rule.effect.kind, rule)
    return [oldest["refuse"]] if "refuse" in oldest else list(oldest.values())


def placement_under(effects: Sequence[Effect], quantity: int, now_ms: int) -> Placement:
    """What becomes of an order of `quantity` placed at `now_ms` under these effects, one of a kind at most."""
    by_kind = {effect.kind: effect for effect in effects}
    refusal, rejection, drop = by_kind.get("refuse"), by_kind.get("reject"), by_kind.get("drop_answer")
    return Placement(
        refusal=refusal if isinstance(refusal, Refuse) else None,
        rejection=rejection if isinstance(rejection, Reject) else None,
        fill_plan=_fill_plan(by_kind.get("delay_fill"), by_kind.get("partial_fill"), quantity, now_ms),
        drop_after_ms=drop.after_ms if isinstance(drop, DropAnswer) else None,
    )


def _fill_plan(delay: Effect | None, partial: Effect | None, quantity: int, now_ms: int) -> FillPlan:
    from_ms = now_ms + (delay.ms if isinstance(delay, DelayFill) else 0)
    if not isinstance(partial, PartialFill):
        return (Stage(from_ms, quantity),) if isinstance(delay, DelayFill) else ()
    first = Stage(from_ms, min(partial.quantity, quantity))
    if partial.rest_after_ms is None:
        return (first,)
    return (first, Stage(from_ms + partial.rest_after_ms, quantity))
