"""Closing of a trade, in full or in part, by fills not booked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.trade_management.domain import charges
from services.trade_management.domain.charges import ChargeSchedule, Leg, Lines
from services.trade_management.domain.fills import (
    Fill,
    FillId,
    average_price,
    new_fills,
    taken,
    total_quantity,
    total_value,
)
from services.trade_management.domain.pnl import gross_pnl, net_pnl
from services.trade_management.domain.trade import Trade
from shared.contracts.vocabulary import ExitReason, ProductType, TradeStatus


@dataclass(frozen=True, slots=True)
class Closure:
    """Closure of a part of a trade or, with `final`, the rest, by fills of one intent. Money in rupees.

    Attributes
    ----------
    closed_at:
        Time of the last of its fills.
    charged_as:
        Product used to select the rates.
    lines:
        Charges of entry and exit; empty on a closure read from the database.
    target_leg:
        Leg of a target ladder; None for an exit of the whole remainder.
    """

    nth: int
    exit_intent_id: UUID
    exit_reason: ExitReason
    quantity: int
    exit_price: Decimal
    gross_pnl: Decimal
    charges: Decimal
    net_pnl: Decimal
    final: bool
    closed_at: datetime
    charged_as: ProductType
    lines: Mapping[Leg, Lines] = field(default_factory=dict)
    target_leg: int | None = None


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """Trade with all its closures so far; `fills` includes late ones."""

    trade: Trade
    fills: tuple[Fill, ...] = ()
    closures: tuple[Closure, ...] = ()

    def known(self) -> dict[FillId, Fill]:
        """Return every stored fill by its fill id."""
        return {fill.fill_id: fill for fill in self.fills}

    def booked(self) -> list[Fill]:
        """Return the parts of fills booked by closures."""
        return taken([fill for fill in self.fills if not fill.late], self.trade.quantity)

    def filled_of_leg(self, leg: int) -> int:
        """Return the booked quantity of a leg of the target ladder."""
        return total_quantity(fill for fill in self.booked() if fill.target_leg == leg)

    def exit_price(self) -> Decimal:
        """Return the average exit price over all closures."""
        return average_price(self.booked())

    def gross_pnl(self) -> Decimal:
        """Return rupees over all closures."""
        return sum((closure.gross_pnl for closure in self.closures), Decimal(0))

    def charges(self) -> Decimal:
        """Return rupees over all closures."""
        return sum((closure.charges for closure in self.closures), Decimal(0))

    def net_pnl(self) -> Decimal:
        """Return rupees over all closures."""
        return net_pnl(self.gross_pnl(), self.charges())


@dataclass(frozen=True, slots=True)
class Booking:
    """Changes caused by a report of fills.

    Attributes
    ----------
    after:
        History of the trade including this report.
    recorded:
        New fills; late ones are flagged.
    closure:
        None without new fills or open quantity.
    excess:
        Shares filled beyond what was open: the position at the broker is no longer flat.
    """

    after: TradeHistory
    recorded: tuple[Fill, ...] = ()
    closure: Closure | None = None
    excess: int = 0


def book(history: TradeHistory, reported: Sequence[Fill], schedule: ChargeSchedule) -> Booking:
    """Book the new fills of `reported`, which holds all fills of one intent so far, on a trade.

    Fills of a closed trade are recorded as late and change nothing else. Repeated fills change nothing.
    """
    fresh = new_fills(reported, history.known())
    if not fresh:
        return Booking(history)
    parts = taken(fresh, history.trade.open_quantity)
    excess = total_quantity(fresh) - total_quantity(parts)
    recorded = tuple(replace(fill, late=nth >= len(parts)) for nth, fill in enumerate(fresh))
    if not parts:
        return Booking(replace(history, fills=history.fills + recorded), recorded, excess=excess)
    closure = _closure(history, parts, schedule)
    after = TradeHistory(
        _reduced(history.trade, closure.quantity), history.fills + recorded, (*history.closures, closure)
    )
    return Booking(after, recorded, closure, excess)


def _reduced(trade: Trade, quantity: int) -> Trade:
    left = trade.open_quantity - quantity
    return replace(trade, open_quantity=left, status=TradeStatus.OPEN if left else TradeStatus.CLOSED)


def _closure(history: TradeHistory, parts: Sequence[Fill], schedule: ChargeSchedule) -> Closure:
    trade, quantity = history.trade, total_quantity(parts)
    product = charges.charged_as(trade.product_type, trade.entered_on, max(part.trading_day for part in parts))
    lines = {
        Leg.ENTRY: _entry_lines(history, quantity, product, schedule),
        Leg.EXIT: _exit_lines(history, parts, product, schedule),
    }
    gross, cost = gross_pnl(trade.direction, trade.entry_price, parts), charges.total(lines.values())
    return Closure(
        nth=len(history.closures) + 1,
        exit_intent_id=parts[-1].intent_id,
        exit_reason=parts[-1].exit_reason,
        quantity=quantity,
        exit_price=average_price(parts),
        gross_pnl=gross,
        charges=cost,
        net_pnl=net_pnl(gross, cost),
        final=quantity == trade.open_quantity,
        closed_at=max(part.filled_at for part in parts),
        charged_as=product,
        lines=lines,
        target_leg=parts[-1].target_leg,
    )


def _entry_lines(history: TradeHistory, quantity: int, product: ProductType, schedule: ChargeSchedule) -> Lines:
    """Return this closure's share of the entry's charges, among closures charged as the same product."""
    trade = history.trade
    whole = schedule.order_lines(product, trade.entered_on, charges.entry_side(trade.direction), trade.entry_value)
    before = sum(earlier.quantity for earlier in history.closures if earlier.charged_as is product)
    return charges.entry_share(whole, before, before + quantity, trade.quantity)


def _exit_lines(history: TradeHistory, parts: Sequence[Fill], product: ProductType, schedule: ChargeSchedule) -> Lines:
    """Return the increase of the orders' charges: each order is charged on its cumulative value."""
    lines: Lines = {}
    for order_id in dict.fromkeys(part.order_id for part in parts):
        earlier = total_value(fill for fill in history.booked() if fill.order_id == order_id)
        now = [part for part in parts if part.order_id == order_id]
        grown = _order_growth(history.trade, product, schedule, earlier, now)
        lines = {charge: lines.get(charge, Decimal(0)) + grown.get(charge, Decimal(0)) for charge in {**lines, **grown}}
    return lines


def _order_growth(
    trade: Trade, product: ProductType, schedule: ChargeSchedule, earlier: Decimal, now: Sequence[Fill]
) -> Lines:
    # A broker's clock of whole seconds may put an exit before its entry; no exit precedes its entry's rates.
    day = max(trade.entered_on, *(part.trading_day for part in now))
    side = charges.exit_side(trade.direction)
    return charges.difference(
        schedule.order_lines(product, day, side, earlier + total_value(now)),
        schedule.order_lines(product, day, side, earlier),
    )
