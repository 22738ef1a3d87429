"""Closing of a trade, in full or in part, by fills not booked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.trade_management.domain import charges
from services.trade_management.domain.charges import ChargeSchedule, Lines
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
from shared.contracts.vocabulary import ExitReason, Leg, ProductType, TradeStatus
from shared.money import to_price


class Closure(Struct, frozen=True):
    """Closure of a part of a trade or, with `final`, the rest, by fills of one intent. Money in rupees.

    Attributes
    ----------
    closed_at:
        Time of the last of its fills.
    charged_as:
        Product used to select the rates.
    charges, net_pnl:
        None if the charges of a leg are unknown.
    lines:
        Charges of entry and exit, without legs of unknown charges; empty on a closure read from the database.
    target_leg:
        Leg of a target ladder; None for an exit of the whole remainder.
    """

    nth: int
    exit_intent_id: UUID
    exit_reason: ExitReason
    quantity: int
    exit_price: Decimal
    gross_pnl: Decimal
    charges: Decimal | None
    net_pnl: Decimal | None
    final: bool
    closed_at: datetime
    charged_as: ProductType
    lines: Mapping[Leg, Lines] = {}
    target_leg: int | None = None


class TradeHistory(Struct, frozen=True):
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
        if len(self.closures) == 1:
            return self.closures[0].exit_price
        return average_price(self.booked())

    def gross_pnl(self) -> Decimal:
        """Return rupees over all closures."""
        if len(self.closures) == 1:
            return self.closures[0].gross_pnl
        return sum((closure.gross_pnl for closure in self.closures), Decimal(0))

    def charges(self) -> Decimal | None:
        """Return rupees over all closures; None if those of one are unknown."""
        if len(self.closures) == 1:
            return self.closures[0].charges
        known = [closure.charges for closure in self.closures if closure.charges is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.closures) else None

    def net_pnl(self) -> Decimal | None:
        """Return rupees over all closures; None if the charges are unknown."""
        if len(self.closures) == 1:
            return self.closures[0].net_pnl
        return net_pnl(self.gross_pnl(), self.charges())


class Booking(Struct, frozen=True):
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
        Shares filled beyond the open quantity: the position at the broker is no longer flat.
    """

    after: TradeHistory
    recorded: tuple[Fill, ...] = ()
    closure: Closure | None = None
    excess: int = 0


def book(history: TradeHistory, reported: Sequence[Fill], schedule: ChargeSchedule) -> Booking:
    """Book the new fills of `reported`, all fills of one intent so far, on a trade.

    Fills of a closed trade are recorded as late and change nothing else. Repeated fills change nothing.
    """
    fresh = new_fills(reported, history.known())
    if not fresh:
        return Booking(history)
    parts, filled = taken(fresh, history.trade.open_quantity), total_quantity(fresh)
    quantity = min(filled, history.trade.open_quantity)
    excess = filled - quantity
    recorded = (*fresh[: len(parts)], *(replace(fill, late=True) for fill in fresh[len(parts) :]))
    if not parts:
        return Booking(replace(history, fills=history.fills + recorded), recorded, excess=excess)
    closure = _closure(history, parts, quantity, schedule)
    after = TradeHistory(
        _reduced(history.trade, closure.quantity), history.fills + recorded, (*history.closures, closure)
    )
    return Booking(after, recorded, closure, excess)


def _reduced(trade: Trade, quantity: int) -> Trade:
    left = trade.open_quantity - quantity
    return replace(trade, open_quantity=left, status=TradeStatus.OPEN if left else TradeStatus.CLOSED)


def _closure(history: TradeHistory, parts: Sequence[Fill], quantity: int, schedule: ChargeSchedule) -> Closure:
    trade, value = history.trade, total_value(parts)
    product = charges.charged_as(trade.product_type, trade.entered_on, max(part.trading_day for part in parts))
    lines = _lines(history, parts, quantity, product, schedule)
    gross = gross_pnl(trade.direction, trade.entry_price, quantity, value)
    cost = charges.total(lines.values()) if len(lines) == len(Leg) else None
    return Closure(
        nth=len(history.closures) + 1,
        exit_intent_id=parts[-1].intent_id,
        exit_reason=parts[-1].exit_reason,
        quantity=quantity,
        exit_price=to_price(value / quantity),
        gross_pnl=gross,
        charges=cost,
        net_pnl=net_pnl(gross, cost),
        final=quantity == trade.open_quantity,
        closed_at=max(part.filled_at for part in parts),
        charged_as=product,
        lines=lines,
        target_leg=parts[-1].target_leg,
    )


def _lines(
    history: TradeHistory, parts: Sequence[Fill], quantity: int, product: ProductType, schedule: ChargeSchedule
) -> dict[Leg, Lines]:
    """Return the charges of each leg with known charges."""
    found = {
        Leg.ENTRY: _entry_lines(history, quantity, product, schedule),
        Leg.EXIT: _exit_lines(history, parts, product, schedule),
    }
    return {leg: lines for leg, lines in found.items() if lines is not None}


def _entry_lines(history: TradeHistory, quantity: int, product: ProductType, schedule: ChargeSchedule) -> Lines | None:
    """Return this closure's share of the entry's charges, among closures charged as the same product."""
    trade, market = history.trade, charges.market_of(history.trade.symbol)
    side = charges.entry_side(trade.direction)
    whole = schedule.order_lines(market, product, trade.entered_on, side, trade.entry_value)
    if whole is None:
        return None
    before = sum(earlier.quantity for earlier in history.closures if earlier.charged_as is product)
    return charges.entry_share(whole, before, before + quantity, trade.quantity)


def _exit_lines(
    history: TradeHistory, parts: Sequence[Fill], product: ProductType, schedule: ChargeSchedule
) -> Lines | None:
    """Return the increase of the orders' charges: each order is charged on its cumulative value."""
    lines: Lines = {}
    booked = history.booked()
    for order_id in dict.fromkeys(part.order_id for part in parts):
        earlier = total_value([fill for fill in booked if fill.order_id == order_id])
        now = [part for part in parts if part.order_id == order_id]
        grown = _order_growth(history.trade, product, schedule, earlier, now)
        if grown is None:
            return None
        lines = charges.added(lines, grown) if lines else grown
    return lines


def _order_growth(
    trade: Trade, product: ProductType, schedule: ChargeSchedule, earlier: Decimal, now: Sequence[Fill]
) -> Lines | None:
    # A broker's clock of whole seconds may put an exit before its entry; no exit precedes its entry's rates.
    day = max(trade.entered_on, *(part.trading_day for part in now))
    market, side = charges.market_of(trade.symbol), charges.exit_side(trade.direction)
    after = schedule.order_lines(market, product, day, side, earlier + total_value(now))
    before = schedule.order_lines(market, product, day, side, earlier) if earlier else {}
    return None if after is None or before is None else charges.difference(after, before)
