"""Fills without our tag, reducing the positions of our trades. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.exit_qualification.domain.order_terms import OrderSide, reducing_side
from shared.contracts.vocabulary import Direction


@dataclass(frozen=True, slots=True)
class HeldTrade:
    """Open trade of one account, symbol and product, with the quantity left by its fills."""

    trade_id: UUID
    direction: Direction
    remaining: int
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class ForeignFill:
    """Execution of a foreign order. Price in rupees.

    Attributes
    ----------
    left:
        Quantity not adopted by an exit yet.
    pieces:
        Number of its parts adopted by exits.
    """

    order_id: str
    trade_id: str
    exchange: str
    side: OrderSide
    left: int
    price: Decimal
    filled_at: datetime
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class Adoption:
    """Part of a fill without our tag that closes quantity of a trade; `broker_trade_id` is unique to the part."""

    trade_id: UUID
    fill: ForeignFill
    quantity: int

    @property
    def broker_trade_id(self) -> str:
        """Return the broker's id of the fill, with the number of the part from the second on."""
        return self.fill.trade_id if self.fill.pieces == 0 else f"{self.fill.trade_id}/{self.fill.pieces + 1}"


def expected_quantity(trades: Sequence[HeldTrade]) -> int:
    """Return the net position needed by the trades; negative is short."""
    return sum(trade.direction.sign * trade.remaining for trade in trades)


def missing_quantity(expected: int, position: int) -> int:
    """Return how much of the expected position the account does not hold; 0 if it holds it all or more."""
    held = max(0, position) if expected > 0 else max(0, -position)
    return max(0, abs(expected) - held)


def adopt(trades: Sequence[HeldTrade], fills: Sequence[ForeignFill], missing: int) -> list[Adoption]:
    """Return the fills with the trades they closed: at most `missing` shares are adopted.

    Only fills on the side of reducing the net position of the trades count, the oldest first, for the oldest trade
    entered before them. The broker's times are whole seconds, so a fill in the second of the entry counts.
    """
    net = expected_quantity(trades)
    if net == 0 or missing <= 0:
        return []
    direction = Direction.LONG if net > 0 else Direction.SHORT
    left = {it.trade_id: it for it in trades if it.direction is direction and it.remaining > 0}
    order = sorted(left, key=lambda trade_id: (left[trade_id].entered_at, trade_id))
    side, adopted = reducing_side(direction), list[Adoption]()
    for fill in sorted(fills, key=lambda it: (it.filled_at, it.order_id, it.trade_id)):
        if fill.side is not side:
            continue
        rest = fill
        for trade_id in order:
            trade = left[trade_id]
            quantity = min(trade.remaining, rest.left, missing)
            if quantity <= 0 or trade.entered_at.replace(microsecond=0) > fill.filled_at:
                continue
            adopted.append(Adoption(trade_id, rest, quantity))
            rest = replace(rest, left=rest.left - quantity, pieces=rest.pieces + 1)
            left[trade_id] = replace(trade, remaining=trade.remaining - quantity)
            missing -= quantity
    return adopted
