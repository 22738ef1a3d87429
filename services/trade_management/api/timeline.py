"""Timeline of a trade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from services.trade_management.domain.adjustment import TradeTerms
from services.trade_management.domain.charges import Lines
from services.trade_management.domain.closure import Closure
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.trade import StoredTrade
from services.trade_management.storage.corporate_actions import StoredAction, TradeAdjustment
from shared.contracts.exits import Timestamp
from shared.contracts.vocabulary import Charge, CorporateActionKind, ExitReason, Leg
from shared.money import Money


class Opened(BaseModel):
    """The trade was entered."""

    kind: Literal["OPENED"] = "OPENED"
    at: Timestamp
    quantity: int
    price: Money


class Filled(BaseModel):
    """An exit order filled; `late` after the trade was closed, `leg` of a target ladder."""

    kind: Literal["FILL"] = "FILL"
    at: Timestamp
    quantity: int
    price: Money
    exit_reason: ExitReason
    leg: int | None
    exit_intent_id: UUID
    broker_order_id: str
    broker_trade_id: str
    late: bool


class ClosedPart(BaseModel):
    """Partial closure by fills or, with `final`, the last one; `lines` is its estimated charges of entry and exit.

    Charges are null if no schedule has rates for one of its days.
    """

    kind: Literal["CLOSURE"] = "CLOSURE"
    at: Timestamp
    quantity: int
    price: Money
    exit_reason: ExitReason
    leg: int | None
    exit_intent_id: UUID
    gross_pnl: Money
    charges: Money | None
    net_pnl: Money | None
    final: bool
    lines: dict[Leg, dict[Charge, Money]]


class Adjusted(BaseModel):
    """A corporate action changed the open quantity or, with `is_reversal`, was reversed; the price is the entry's."""

    kind: Literal["ADJUSTED"] = "ADJUSTED"
    at: Timestamp
    action: CorporateActionKind
    action_id: UUID
    is_reversal: bool
    symbol: str
    quantity: int
    open_quantity: int
    price: Money


Step = Opened | Filled | ClosedPart | Adjusted


class Timeline(BaseModel):
    """Events of a trade: opened first, then by time, fills before the closure they caused."""

    items: list[Step]


def timeline(
    trade: StoredTrade,
    fills: Sequence[Fill],
    closures: Sequence[Closure],
    lines: Mapping[int, Mapping[Leg, Lines]],
    adjustments: Sequence[tuple[StoredAction, TradeAdjustment]] = (),
) -> Timeline:
    """Return the timeline of a trade; `lines` by the closure's `nth`."""
    entered = adjustments[0][1].before if adjustments else trade
    opened = Opened(at=trade.entered_at, quantity=entered.quantity, price=entered.entry_price)
    steps: list[Step] = [_filled(fill) for fill in fills]
    steps += [_closed_part(closure, lines.get(closure.nth, {})) for closure in closures]
    steps += [step for action, changed in adjustments for step in _adjusted(trade, action, changed)]
    # A stable sort: items of one kind and instant keep the order of their records.
    return Timeline(items=[opened, *sorted(steps, key=lambda step: (step.at, isinstance(step, ClosedPart)))])


def _filled(fill: Fill) -> Filled:
    return Filled(
        at=fill.filled_at,
        quantity=fill.quantity,
        price=fill.price,
        exit_reason=fill.exit_reason,
        leg=fill.target_leg,
        exit_intent_id=fill.intent_id,
        broker_order_id=fill.broker_order_id,
        broker_trade_id=fill.broker_trade_id,
        late=fill.late,
    )


def _adjusted(trade: StoredTrade, action: StoredAction, changed: TradeAdjustment) -> Iterator[Adjusted]:
    def step(at: datetime, terms: TradeTerms, *, is_reversal: bool) -> Adjusted:
        return Adjusted(
            at=at,
            action=action.kind,
            action_id=action.action_id,
            is_reversal=is_reversal,
            symbol=terms.symbol,
            quantity=terms.quantity,
            open_quantity=terms.open_quantity,
            price=terms.entry_price,
        )

    yield step(action.applied_at, changed.after, is_reversal=False)
    if action.reversed_at is not None and (trade.closed_at is None or trade.closed_at > action.reversed_at):
        yield step(action.reversed_at, changed.before, is_reversal=True)


def _closed_part(closure: Closure, lines: Mapping[Leg, Lines]) -> ClosedPart:
    return ClosedPart(
        at=closure.closed_at,
        quantity=closure.quantity,
        price=closure.exit_price,
        exit_reason=closure.exit_reason,
        leg=closure.target_leg,
        exit_intent_id=closure.exit_intent_id,
        gross_pnl=closure.gross_pnl,
        charges=closure.charges,
        net_pnl=closure.net_pnl,
        final=closure.final,
        lines={leg: dict(of_leg) for leg, of_leg in lines.items()},
    )
