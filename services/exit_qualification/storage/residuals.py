"""Repository of remainders left by exits that must continue."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.domain.intent_state_machine import LIVE
from services.exit_qualification.domain.residual import Residual
from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.registry import RULES

_REMAINDERS = """
-- exit_intents.remainders: the last exit of its (trade, reason) was sent and ended short, or left its quantity to a leg
-- without a complete fill; nothing stands against the next. A manual exit refused outright by the broker is the
-- operator's to repeat.
SELECT i.trade_id, i.exit_reason, coalesce(s.last_price, i.detected_price) AS price
  FROM exit_intents i
  JOIN open_trades t ON t.trade_id = i.trade_id AND t.status = 'OPEN'
  LEFT JOIN exit_episodes e ON e.trade_id = i.trade_id AND e.exit_reason = exit_slot(i.exit_reason, i.leg)
  LEFT JOIN tick_symbols s ON s.symbol = t.symbol
 WHERE (i.status IN ('CANCELLED', 'FAILED') OR i.status = 'FILLED' AND i.beside_leg) AND i.submitted_at IS NOT NULL
   AND i.executable AND i.deleted_at IS NULL
   AND i.exit_reason = ANY (:resuming)
   AND NOT (i.exit_reason = 'MANUAL' AND i.error_code IS NOT DISTINCT FROM 'ORDER_LIMIT')
   AND (i.cancel_reason IN ('NOT_FILLED_IN_TIME', 'BY_BROKER')
        OR i.status = 'FAILED' AND (i.exit_reason <> 'MANUAL' OR i.filled_quantity > 0)
        OR i.status = 'FILLED')
   AND i.ended_at <= clock_timestamp() - make_interval(secs => :pause_s)
   AND coalesce(e.cooldown_until <= clock_timestamp(), true)
   AND t.quantity > (SELECT coalesce(sum(f.quantity), 0) FROM exit_fills f WHERE f.trade_id = i.trade_id)
   AND NOT EXISTS (
     SELECT FROM exit_intents o
      WHERE o.trade_id = i.trade_id AND o.executable AND o.deleted_at IS NULL
        AND ((o.status = ANY (:live) OR o.status = 'FILLED' AND o.leg IS NULL AND NOT o.beside_leg)
             AND o.exit_reason <> 'EXTERNAL'
             OR o.exit_reason = i.exit_reason AND o.episode_id > i.episode_id))
"""
_IN_ORDER = """
 ORDER BY i.trade_id, i.exit_reason
 LIMIT :limit
"""
FIND = text(_REMAINDERS + _IN_ORDER)
FIND_OF_TRADE = text(_REMAINDERS + " AND i.trade_id = :trade_id" + _IN_ORDER)

LIMIT = 1000
"""Maximum remainders per query; those found are exited, so the rest follows."""

_RESUMING = [rule.reason for rule in RULES if rule.resumes]
_LIVE = sorted(LIVE)


class ResidualRepository:
    """Remainders as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, pause_s: float) -> list[Residual]:
        """Return the exits to continue, ended at least this many seconds ago."""
        return self._found(FIND, pause_s)

    def of_trade(self, trade_id: UUID, pause_s: float) -> list[Residual]:
        """Return the remainders of one trade; lock its row before."""
        return self._found(FIND_OF_TRADE, pause_s, trade_id=trade_id)

    def _found(self, statement: TextClause, pause_s: float, **parameters: UUID) -> list[Residual]:
        wanted = {"pause_s": pause_s, "live": _LIVE, "resuming": _RESUMING, "limit": LIMIT, **parameters}
        rows = self._connection.execute(statement, wanted)
        return [Residual(row.trade_id, ExitReason(row.exit_reason), row.price) for row in rows]
