"""Unsent exits by separate indexes: those held by a switch, which may be very many, are not even read.

Each condition names an expression that only its index has. A plain condition on the status would let the planner read
all waiting exits: it learns too late how many there are.
"""

from __future__ import annotations

from typing import Final

from services.exit_qualification.domain.gates.registry import ACCOUNT_GATES, deferred_sql

_UNSENT: Final = "i.deleted_at IS NULL AND i.status IN ('PENDING', 'APPROVED')"
IS_OUT_OF_TIME: Final = f"CASE WHEN i.executable AND {_UNSENT} THEN i.expires_at END <= statement_timestamp()"
"""An unsent exit `i` that can be executed, but no longer in its time."""
IS_DARK: Final = f"CASE WHEN NOT i.executable AND {_UNSENT} THEN i.trade_id END IS NOT NULL"
"""An unsent exit `i` outside the rollout."""
_OF_ACCOUNT: Final = f"""
SELECT * FROM exit_intents i
 WHERE CASE WHEN i.executable AND {_UNSENT} THEN i.user_broker_id END = f.user_broker_id"""  # noqa: S608  # our own
MOVABLE: Final = f"""
free AS MATERIALIZED (
  SELECT b.user_broker_id, k.mode = 'ALL' AS is_stopped FROM user_brokers b CROSS JOIN kill_switch k
   WHERE NOT {deferred_sql(ACCOUNT_GATES)}),
movable AS (
  SELECT i.* FROM free f CROSS JOIN LATERAL ({_OF_ACCOUNT} OFFSET 0) AS i WHERE NOT f.is_stopped
  UNION ALL
  SELECT i.* FROM free f CROSS JOIN LATERAL ({_OF_ACCOUNT} AND i.exit_reason = 'MANUAL' OFFSET 0) AS i
   WHERE f.is_stopped)
"""  # noqa: S608  # the conditions of our own gates
"""Queries for a WITH clause: `movable` are unsent, executable exits held neither by kill switch nor by account."""
