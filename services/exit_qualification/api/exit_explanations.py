"""Route for the explanation of a trade's exits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from services.exit_qualification.api.context import Context
from services.exit_qualification.api.protective_stops import ProtectiveStopView
from services.exit_qualification.domain.rule_standing import BrickStanding
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.exit_explanation import ExitExplanation, ExplainedRule, explain
from services.exit_qualification.exit_timeline import Step, TimelineEntry
from services.exit_qualification.storage.exit_history import WaitingWork
from shared.contracts.exits import Timestamp
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    MarketPhase,
    ProductType,
    TradeStatus,
)
from shared.exit_rules.levels import Side
from shared.http.auth import Reader
from shared.http.declared_errors import declared
from shared.http.routing import api_router
from shared.instants import EPOCH
from shared.money import Money, from_units

router = api_router(prefix="/exits/why", tags=["exits"])


class LastTick(BaseModel):
    """Last tick of the symbol at its checkpoint, at most about a second old."""

    price: Money
    at: Timestamp
    arrived_at: Timestamp
    age_ms: int
    ticks: int = Field(description="number of ticks of the symbol so far")


class Bricks(BaseModel):
    """Bricks counted for a rule."""

    counted: int
    needed: int
    size: Money
    last_close: Money


class RuleView(BaseModel):
    """One rule of the plan: its distance from firing, and the reason against it."""

    exit_reason: ExitReason
    leg: int | None
    armed: bool = Field(description="whether it fires once its condition is met")
    held_by: str | None = Field(description="`intent` or `cooldown` if it must wait for one")
    level: Money | None = Field(description="price of the condition; null if no price alone decides")
    arms_at: Money | None = Field(description="price to arm the rule; null once it is armed, or if it always is")
    reached: Side | None = Field(description="side of `level` or `arms_at` for the condition")
    distance: str | None = Field(
        description="rupees from the last price to `level` or `arms_at`; 0 or less if the condition is met"
    )
    watermark: Money | None = Field(description="best price since entry, of a trailing stop")
    deadline: Timestamp | None
    due_in_ms: int | None = Field(description="time until the deadline")
    bricks: Bricks | None
    last_episode_id: int | None
    cooldown_until: Timestamp | None


class TimelineView(BaseModel):
    """One event of the timeline."""

    at: Timestamp
    step: Step
    exit_reason: ExitReason | None
    episode_id: int | None
    intent_id: UUID | None
    detail: dict[str, Any]


class WaitingView(BaseModel):
    """Exit or closure waiting for a locked row."""

    work: str
    waits_since: Timestamp
    tries: int
    retry_at: Timestamp
    why: str


class ExplanationView(BaseModel):
    """Why a trade exited or did not. Ticks without effect are not kept."""

    trade_id: UUID
    symbol: str
    direction: Direction
    product_type: ProductType
    user_broker_id: str
    status: TradeStatus
    quantity: int
    filled_quantity: int
    entry_price: Money
    as_of: Timestamp
    market_phase: MarketPhase | None = Field(description="null without a calendar")
    last_tick: LastTick | None
    rules: list[RuleView] = Field(description="highest rank first; empty once the trade is closed")
    waiting: list[WaitingView]
    protective_stop: ProtectiveStopView | None = Field(description="null if the trade never had one")
    timeline: list[TimelineView]


@router.get("/{trade_id}", responses=declared(404))
def why(trade_id: UUID, context: Context, _: Reader) -> ExplanationView:
    """Explain a trade: every candidate, gate, refusal and order step, and the distance of every rule to the price."""
    with context.unit_of_work() as uow:
        explanation = explain(uow.connection, trade_id, context.square_off)
    return _view(explanation, context.clock.now())


def _view(found: ExitExplanation, now: datetime) -> ExplanationView:
    trade, stop = found.trade.trade, found.protective_stop
    return ExplanationView(
        trade_id=trade.trade_id,
        symbol=trade.symbol,
        direction=trade.direction,
        product_type=trade.product_type,
        user_broker_id=trade.user_broker_id,
        status=found.trade.status,
        quantity=trade.quantity,
        filled_quantity=found.filled_quantity,
        entry_price=from_units(trade.entry_price),
        as_of=now,
        market_phase=found.market.phase,
        last_tick=_last_tick(found.symbol, now),
        rules=[_rule(rule, now) for rule in found.rules],
        waiting=[_waiting(work) for work in found.waiting],
        protective_stop=None if stop is None else ProtectiveStopView.model_validate(stop),
        timeline=[_entry(entry) for entry in found.timeline],
    )


def _last_tick(symbol: SymbolState | None, now: datetime) -> LastTick | None:
    if symbol is None:
        return None
    arrived_at = EPOCH + timedelta(milliseconds=symbol.last_arrived_ms)
    return LastTick(
        price=from_units(symbol.last_price),
        at=EPOCH + timedelta(microseconds=symbol.last_ts_us),
        arrived_at=arrived_at,
        age_ms=(now - arrived_at) // timedelta(milliseconds=1),
        ticks=symbol.ticks,
    )


def _rule(rule: ExplainedRule, now: datetime) -> RuleView:
    standing = rule.standing
    deadline = None if standing.deadline_ms is None else EPOCH + timedelta(milliseconds=standing.deadline_ms)
    return RuleView(
        exit_reason=standing.reason,
        leg=standing.leg,
        armed=rule.held_by is None and standing.arms_at is None,
        held_by=rule.held_by,
        level=_price(standing.level),
        arms_at=_price(standing.arms_at),
        reached=standing.reached,
        distance=None if standing.distance is None else f"{from_units(standing.distance):.4f}",
        watermark=_price(standing.watermark),
        deadline=deadline,
        due_in_ms=None if deadline is None else (deadline - now) // timedelta(milliseconds=1),
        bricks=_bricks(standing.bricks),
        last_episode_id=None if rule.cooldown is None else rule.cooldown.episode_id,
        cooldown_until=None if rule.cooldown is None else rule.cooldown.until,
    )


def _bricks(bricks: BrickStanding | None) -> Bricks | None:
    if bricks is None:
        return None
    return Bricks(
        counted=bricks.counted, needed=bricks.needed, size=from_units(bricks.size), last_close=from_units(bricks.close)
    )


def _price(units: int | None) -> Decimal | None:
    return None if units is None else from_units(units)


def _waiting(work: WaitingWork) -> WaitingView:
    return WaitingView(**{name: getattr(work, name) for name in WaitingView.model_fields})


def _entry(entry: TimelineEntry) -> TimelineView:
    values = {name: getattr(entry, name) for name in TimelineView.model_fields if name != "detail"}
    return TimelineView(**values, detail=dict(entry.detail))
