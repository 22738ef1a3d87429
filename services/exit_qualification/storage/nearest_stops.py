"""Open trades whose last price is nearest to the stop loss of their plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from shared.contracts.vocabulary import Direction

NEAREST = text("""
-- nearest_stops.of_open_trades: by the share of the price; a passed stop comes first
SELECT trade_id, symbol, direction, user_broker_id, stop_loss, last_price, priced_at, distance
  FROM (SELECT t.trade_id, t.symbol, t.direction, t.user_broker_id, stop.price AS stop_loss, p.last_price, p.priced_at,
               (p.last_price - stop.price) * CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END AS distance
          FROM open_trades t
          JOIN market_prices p ON p.symbol = t.symbol
         CROSS JOIN LATERAL (SELECT CAST(t.exit_plan ->> 'stop_loss' AS numeric) AS price) stop
         WHERE t.status = 'OPEN' AND jsonb_typeof(t.exit_plan -> 'stop_loss') = 'string'
           AND (CAST(:symbol AS text) IS NULL OR t.symbol = :symbol)
           AND (CAST(:user_broker_id AS text) IS NULL OR t.user_broker_id = :user_broker_id)) AS known
 ORDER BY distance / last_price, trade_id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class NearStop:
    """Open trade with its stop loss; `distance` is what the price may still move, 0 or less once it has."""

    trade_id: UUID
    symbol: str
    direction: Direction
    user_broker_id: str
    stop_loss: Decimal
    last_price: Decimal
    priced_at: datetime | None
    distance: Decimal


def nearest_stops(
    connection: Connection, *, symbol: str | None = None, user_broker_id: str | None = None, limit: int
) -> list[NearStop]:
    """Return open trades with a stop loss and a last price, the nearest first."""
    wanted = {"symbol": symbol, "user_broker_id": user_broker_id, "limit": limit}
    return [NearStop(**row._mapping) for row in connection.execute(NEAREST, wanted)]
