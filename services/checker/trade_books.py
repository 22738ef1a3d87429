"""Opened and closed trades according to the trade schema."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from services.checker.exit_books import Fill

TRADES = text("""
-- invariants.trades: with the sums of its closures and its charges; final ones replace a leg's estimate
WITH final AS (
  SELECT DISTINCT ON (trade_id, leg) trade_id, leg,
         (SELECT coalesce(sum(amount::numeric), 0) FROM jsonb_each_text(lines) AS l (charge, amount)) AS amount
    FROM final_charges ORDER BY trade_id, leg, nth DESC),
estimated AS (
  SELECT c.trade_id, l.leg, sum(l.amount) AS amount
    FROM trade_closures c JOIN charge_lines l USING (closure_id) GROUP BY c.trade_id, l.leg),
costs AS (
  SELECT trade_id, sum(coalesce(final.amount, estimated.amount)) AS amount
    FROM estimated FULL JOIN final USING (trade_id, leg) GROUP BY trade_id)
SELECT t.trade_id, t.direction, t.status, t.quantity, t.open_quantity, t.entry_price, t.exit_price, t.gross_pnl,
       t.charges, t.net_pnl, t.exit_intent_id, coalesce(c.quantity, 0) AS closed_quantity,
       coalesce(costs.amount, 0) AS charge_lines, coalesce(c.finals, 0) AS final_closures,
       coalesce(c.gross, 0) AS closures_gross_pnl,
       EXISTS (SELECT FROM trade_adjustments a WHERE a.trade_id = t.trade_id) AS is_adjusted
  FROM trades t
  LEFT JOIN costs USING (trade_id)
  LEFT JOIN (SELECT trade_id, sum(quantity) AS quantity, count(*) FILTER (WHERE final) AS finals,
                    sum(gross_pnl) AS gross
               FROM trade_closures GROUP BY trade_id) c USING (trade_id)
""")
FILLS = text("""
-- invariants.trade_fills
SELECT trade_id, broker_order_id, broker_trade_id, quantity, price FROM trade_fills WHERE NOT late
""")
EXECUTIONS = text("""
-- invariants.executions
SELECT broker_order_id, broker_trade_id FROM trade_fills
""")
INBOX = text("""
-- invariants.inbox
SELECT event_id::text FROM inbox WHERE consumer = 'trade-fills'
""")


@dataclass(frozen=True)
class Trade:
    """A trade and its closure; money in rupees."""

    trade_id: UUID
    direction: str
    status: str
    quantity: int
    open_quantity: int
    entry_price: Decimal
    exit_price: Decimal | None
    gross_pnl: Decimal | None
    charges: Decimal | None
    net_pnl: Decimal | None
    exit_intent_id: UUID | None
    closed_quantity: int
    charge_lines: Decimal
    final_closures: int
    closures_gross_pnl: Decimal
    is_adjusted: bool
    """A corporate action changed its entry price: earlier closures had another."""

    @property
    def is_closed(self) -> bool:
        """Return True if the trade's status is closed."""
        return self.status == "CLOSED"


@dataclass(frozen=True)
class TradeBooks:
    """Every trade, its booked fills (without late ones), and the processed events."""

    trades: dict[UUID, Trade]
    fills: dict[UUID, list[Fill]]
    inbox: set[str]
    executions: frozenset[tuple[str, str]] = frozenset()
    """Broker's order and trade id of every stored fill, late ones too."""


def read_trade_books(connection: Connection) -> TradeBooks:
    """Read all trades, fills and processed events."""
    fills: dict[UUID, list[Fill]] = {}
    for row in connection.execute(FILLS):
        fills.setdefault(row.trade_id, []).append(
            Fill(row.broker_order_id, row.broker_trade_id, row.quantity, row.price)
        )
    trades = {row.trade_id: Trade(**row._mapping) for row in connection.execute(TRADES)}
    executions = frozenset((row.broker_order_id, row.broker_trade_id) for row in connection.execute(EXECUTIONS))
    return TradeBooks(trades, fills, set(connection.execute(INBOX).scalars()), executions)
