"""Fault rules. A rule states its match, its count and an effect; a new fault is a new effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from services.paper_broker.call_effects import CallEffect, ExpireSession, LoseRequest, SlowAnswer, WrongAnswer
from services.paper_broker.fault_effects import AnswerEffect, Message, Milliseconds, OrderEffect, PostbackEffect
from services.paper_broker.kite_errors import ErrorType, KiteError
from services.paper_broker.orders import FillPlan, Stage
from services.paper_broker.surprises import Surprises
from shared.contracts.trades import Symbol


class Refuse(AnswerEffect):
    """Refuse the order or trigger: answer with this error and keep it out of the book."""

    kind: Literal["refuse"] = "refuse"
    error_type: ErrorType = "OrderException"
    message: Message = "Order refused on request."
    http_status: int | None = Field(None, ge=400, le=599)

    def error(self) -> KiteError:
        """Return the error to answer with."""
        return KiteError(self.error_type, self.message, self.http_status)


class Reject(OrderEffect):
    """Accept the order, then show it as REJECTED in the book with this message."""

    kind: Literal["reject"] = "reject"
    message: Message = "RMS: rejected on request."


class DelayFill(OrderEffect):
    """Fill nothing of the order before `ms` have passed."""

    kind: Literal["delay_fill"] = "delay_fill"
    ms: Milliseconds


class PartialFill(OrderEffect):
    """Fill only `quantity`; fill the rest after `rest_after_ms`, or never if not given."""

    kind: Literal["partial_fill"] = "partial_fill"
    quantity: int = Field(ge=0, le=10**9)
    rest_after_ms: Milliseconds | None = None


class DropAnswer(AnswerEffect):
    """Accept the order or trigger, but cut the connection after `after_ms` instead of answering."""

    kind: Literal["drop_answer"] = "drop_answer"
    after_ms: Milliseconds


class CancelOrder(OrderEffect):
    """Cancel what is unfilled of the order `after_ms` after it was accepted, as a broker's risk desk does."""

    kind: Literal["cancel_order"] = "cancel_order"
    after_ms: Milliseconds


class FillAfterCancel(OrderEffect):
    """Once the order is cancelled, by anybody, fill `quantity` of its rest after all, all of it if not given."""

    kind: Literal["fill_after_cancel"] = "fill_after_cancel"
    after_ms: Milliseconds
    quantity: int | None = Field(None, ge=1, le=10**9)


class HideOrder(OrderEffect):
    """Show the order and its fills in no book before `ms` have passed."""

    kind: Literal["hide_order"] = "hide_order"
    ms: Milliseconds


class LosePostback(PostbackEffect):
    """Do not post the order update."""

    kind: Literal["lose_postback"] = "lose_postback"


class DuplicatePostback(PostbackEffect):
    """Post the order update `copies` times."""

    kind: Literal["duplicate_postback"] = "duplicate_postback"
    copies: int = Field(2, ge=2, le=10)


class DelayPostback(PostbackEffect):
    """Post the order update not before `ms` have passed: later ones overtake it."""

    kind: Literal["delay_postback"] = "delay_postback"
    ms: Milliseconds


Effect = Annotated[
    Refuse
    | Reject
    | DelayFill
    | PartialFill
    | DropAnswer
    | CancelOrder
    | FillAfterCancel
    | HideOrder
    | ExpireSession
    | LoseRequest
    | SlowAnswer
    | WrongAnswer
    | LosePostback
    | DuplicatePostback
    | DelayPostback,
    Field(discriminator="kind"),
]
EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)
AnyEffect = TypeVar("AnyEffect", bound=OrderEffect)


class FaultRequest(BaseModel):
    """Rule to add: the effect applies to the next `count` orders of `symbol` (of any symbol if not given).

    A trigger counts as an order when it is placed, for refusals and lost answers, and its order when it fires.
    The effects on postbacks apply to the next `count` order updates instead, those on calls to the next `count` calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Symbol | None = None
    count: int | None = Field(1, ge=1, le=10**9, description="null means until the rule is removed")
    effect: Effect

    @model_validator(mode="after")
    def _calls_have_no_symbol(self) -> Self:
        if self.symbol is not None and isinstance(self.effect, CallEffect):
            raise ValueError(f"{self.effect.kind} meets calls, which have no symbol")
        return self


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Active rule; `remaining` is None if the rule never expires."""

    rule_id: int
    symbol: str | None
    remaining: int | None
    effect: Effect


@dataclass(frozen=True, slots=True)
class Placement:
    """Combined effect of the active rules on one order."""

    refusal: Refuse | None = None
    rejection: Reject | None = None
    fill_plan: FillPlan = ()
    drop_after_ms: int | None = None
    surprises: Surprises | None = None

    @property
    def is_refused(self) -> bool:
        """Return whether the order never works: refused, or rejected once accepted."""
        return self.refusal is not None or self.rejection is not None


def rules_met(rules: Sequence[FaultRule]) -> list[FaultRule]:
    """Return the rules for one order or update: the oldest of every kind of effect, so rules queue up.

    A refusal applies alone, because a refused order has no other effects.
    """
    oldest: dict[str, FaultRule] = {}
    for rule in rules:
        oldest.setdefault(rule.effect.kind, rule)
    return [oldest["refuse"]] if "refuse" in oldest else list(oldest.values())


def placement_under(effects: Sequence[OrderEffect], quantity: int, now_ms: int, latency_ms: int = 0) -> Placement:
    """Return how an order of `quantity` placed at `now_ms` proceeds under these effects, at most one per kind."""
    drop, delay = _of_kind(DropAnswer, effects), _of_kind(DelayFill, effects)
    fills_from_ms = now_ms + latency_ms + (delay.ms if delay else 0)
    return Placement(
        refusal=_of_kind(Refuse, effects),
        rejection=_of_kind(Reject, effects),
        fill_plan=_fill_plan(_of_kind(PartialFill, effects), quantity, now_ms, fills_from_ms),
        drop_after_ms=drop.after_ms if drop else None,
        surprises=_surprises(effects, now_ms),
    )


def copies_under(effects: Sequence[PostbackEffect]) -> tuple[int, ...]:
    """Return the delay in milliseconds of each posted copy of an order update; at most one effect per kind."""
    copies, delay_ms = 1, 0
    for effect in effects:
        match effect:
            case LosePostback():
                return ()
            case DuplicatePostback():
                copies = effect.copies
            case DelayPostback():
                delay_ms = effect.ms
    return (delay_ms,) * copies


def _of_kind(kind: type[AnyEffect], effects: Sequence[OrderEffect]) -> AnyEffect | None:
    """Return the one effect of a kind; None without it."""
    return next((effect for effect in effects if isinstance(effect, kind)), None)


def _surprises(effects: Sequence[OrderEffect], now_ms: int) -> Surprises | None:
    cancel, late = _of_kind(CancelOrder, effects), _of_kind(FillAfterCancel, effects)
    hidden = _of_kind(HideOrder, effects)
    surprises = Surprises(
        cancel_ms=now_ms + cancel.after_ms if cancel else None,
        late_after_ms=late.after_ms if late else None,
        late_quantity=late.quantity if late else None,
        shown_from_ms=now_ms + hidden.ms if hidden else None,
    )
    return None if surprises == Surprises() else surprises


def _fill_plan(partial: PartialFill | None, quantity: int, now_ms: int, from_ms: int) -> FillPlan:
    if partial is None:
        return (Stage(from_ms, quantity),) if from_ms > now_ms else ()
    first = Stage(from_ms, min(partial.quantity, quantity))
    if partial.rest_after_ms is None:
        return (first,)
    return (first, Stage(from_ms + partial.rest_after_ms, quantity))
