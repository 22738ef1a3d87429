"""Repository of charges from contract notes, with the estimates they replace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from services.trade_management.domain.charges import Lines
from shared.contracts.vocabulary import Charge, Leg
from shared.money import money_text

LegKey = tuple[UUID, Leg]

OF_TRADES = text("""
-- final_charges.of_trades: the last of each leg
SELECT DISTINCT ON (trade_id, leg) trade_id, leg, lines
  FROM final_charges WHERE trade_id = ANY(CAST(:trade_ids AS uuid[]))
 ORDER BY trade_id, leg, nth DESC
""")

ESTIMATES = text("""
-- charge_lines.estimates: by trade and leg
SELECT c.trade_id, l.leg, sum(l.amount) AS amount
  FROM trade_closures c JOIN charge_lines l ON l.closure_id = c.closure_id
 WHERE c.trade_id = ANY(CAST(:trade_ids AS uuid[]))
 GROUP BY c.trade_id, l.leg
""")

ADD = text("""
-- final_charges.add: the trade's row is locked
INSERT INTO final_charges (trade_id, leg, nth, lines)
SELECT :trade_id, :leg, coalesce(max(nth), 0) + 1, :lines
  FROM final_charges WHERE trade_id = :trade_id AND leg = :leg
""")


class FinalChargeRepository:
    """Final charges of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_trades(self, trade_ids: Collection[UUID]) -> dict[LegKey, Lines]:
        """Return the final lines of the legs with any."""
        rows = self._connection.execute(OF_TRADES, {"trade_ids": sorted(trade_ids)})
        return {
            (row.trade_id, Leg(row.leg)): {Charge(charge): Decimal(amount) for charge, amount in row.lines.items()}
            for row in rows
        }

    def estimates(self, trade_ids: Collection[UUID]) -> dict[LegKey, Decimal]:
        """Return the estimated rupees of each leg over all closures; a leg without lines is left out."""
        rows = self._connection.execute(ESTIMATES, {"trade_ids": sorted(trade_ids)})
        return {(row.trade_id, Leg(row.leg)): row.amount for row in rows}

    def add(self, legs: Mapping[LegKey, Lines]) -> None:
        """Store the lines of these legs; they count from now on."""
        rows = [
            {
                "trade_id": trade_id,
                "leg": leg.value,
                "lines": Jsonb({charge.value: money_text(amount) for charge, amount in lines.items()}),
            }
            for (trade_id, leg), lines in legs.items()
        ]
        if rows:
            self._connection.execute(ADD, rows)
