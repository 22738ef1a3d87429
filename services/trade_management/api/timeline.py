"""Timeline of a trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from services.trade_management.domain.charges import Lines
from services.trade_management.domain.closure import Closure
from services.trade_management.domain.fills import Fill
from services.trade_management.domain.trade import Trade
from shared.contracts.exits import Timestamp
from shared.contracts.vocabulary import Charge, ExitReason, Leg
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


Step = Opened | Filled | ClosedPart


class Timeline(BaseModel):
    """Events of a trade: opened first, then by time, fills before the closure they caused."""

    items: list[Step]


def timeline(
    trade: Trade, fills: Sequence[Fill], closures: Sequence[Closure], lines: Mapping[int, Mapping[Leg, Lines]]
) -> Timeline:
    """Return the timeline of a trade; `lines` by the closure's `nth`."""
    opened = Opened(at=trade.entered_at, quantity=trade.quantity, price=trade.entry_price)
    steps: list[Filled | ClosedPart] = [_filled(fill) for fill in fills]
    steps += [_closed_part(closure, lines.get(closure.nth, {})) for closure in closures]
    # A stable sort: items of one kind and instant keep the order in which they were recorded.
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
