"""Sent orders and fills according to the exit schema."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

INTENTS = text("""
-- invariants.exit_intents
SELECT intent_id, trade_id, status, quantity, filled_quantity, client_order_id, broker_order_id, submitted_at,
       direction, exit_reason = 'EXTERNAL' AS adopted, leg, beside_leg
  FROM exit_intents
""")
STOPS = text("""
-- invariants.protective_stops
SELECT client_order_id, trade_id FROM protective_stops WHERE submitted_at IS NOT NULL
""")
FILLS = text("""
-- invariants.exit_fills
SELECT intent_id, trade_id, broker_order_id, broker_trade_id, quantity, price FROM exit_fills
""")


@dataclass(frozen=True)
class Intent:
    """An intent as compared with other books.

    Attributes
    ----------
    sent:
        An order went to the broker.
    adopted:
        It has fills of a foreign order.
    leg:
        Leg of a target ladder; None for the whole remainder.
    beside_leg:
        Its order was for the remainder of a leg at the market.
    """

    intent_id: UUID
    trade_id: UUID
    direction: str
    status: str
    quantity: int
    filled_quantity: int
    tag: str
    broker_order_id: str | None
    sent: bool
    adopted: bool = False
    leg: int | None = None
    beside_leg: bool = False


@dataclass(frozen=True, order=True)
class Fill:
    """One execution, as any of the books has it."""

    broker_order_id: str
    broker_trade_id: str
    quantity: int
    price: Decimal


@dataclass(frozen=True)
class ExitBooks:
    """Every intent by its id; the fills by intent and by trade; the trades of protective stops by their tags."""

    intents: dict[UUID, Intent]
    fills: dict[UUID, list[Fill]]
    fills_of_trade: dict[UUID, list[Fill]]
    stops: dict[str, UUID] = field(default_factory=dict)


def read_exit_books(connection: Connection) -> ExitBooks:
    """Read all intents with their fills."""
    intents = {
        row.intent_id: Intent(
            row.intent_id,
            row.trade_id,
            row.direction,
            row.status,
            row.quantity,
            row.filled_quantity,
            row.client_order_id,
            row.broker_order_id,
            row.submitted_at is not None,
            row.adopted,
            row.leg,
            row.beside_leg,
        )
        for row in connection.execute(INTENTS)
    }
    fills: dict[UUID, list[Fill]] = defaultdict(list)
    fills_of_trade: dict[UUID, list[Fill]] = defaultdict(list)
    for row in connection.execute(FILLS):
        fill = Fill(row.broker_order_id, row.broker_trade_id, row.quantity, row.price)
        fills[row.intent_id].append(fill)
        fills_of_trade[row.trade_id].append(fill)
    stops = {row.client_order_id: row.trade_id for row in connection.execute(STOPS)}
    return ExitBooks(intents, dict(fills), dict(fills_of_trade), stops)


def total(fills: Sequence[Fill]) -> int:
    """Return the shares."""
    return sum(fill.quantity for fill in fills)


def value(fills: Sequence[Fill]) -> Decimal:
    """Return rupees: Σ quantity · price."""
    return sum((fill.quantity * fill.price for fill in fills), Decimal(0))
