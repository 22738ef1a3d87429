"""Repository of executions at the broker, each stored once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from services.exit_qualification.domain.exit_fill import ExitFill
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.models import ExitFillRow
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import ExitReason
from shared.postgres.hot_path import fetch

LEG_TOTALS = text("""
-- exit_fills.totals_of_legs
SELECT i.trade_id, i.exit_reason, i.leg, sum(f.quantity) AS filled
  FROM exit_fills f
  JOIN exit_intents i ON i.intent_id = f.intent_id
 WHERE f.trade_id = ANY (CAST(:trade_ids AS uuid[])) AND i.leg IS NOT NULL
 GROUP BY i.trade_id, i.exit_reason, i.leg
""")

TOTALS_OF_TRADES = text("""
-- exit_fills.totals_of_trades
SELECT trade_id, sum(quantity) FROM exit_fills WHERE trade_id = ANY (CAST(:trade_ids AS uuid[])) GROUP BY trade_id
""")


class ExitFillRepository:
    """Fills of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, fills: Sequence[ExitFill]) -> int:
        """Store the new fills; return their number."""
        if not fills:
            return 0
        statement = insert(ExitFillRow).on_conflict_do_nothing().returning(ExitFillRow.broker_trade_id)
        return len(self._connection.execute(statement, [asdict(fill) for fill in fills]).all())

    def of_intent(self, intent_id: UUID) -> list[Fill]:
        """Return all fills of an intent in order of time, in the format of events."""
        return self.of_intents([intent_id]).get(intent_id, [])

    def of_intents(self, intent_ids: Sequence[UUID]) -> dict[UUID, list[Fill]]:
        """Return all fills of these intents in order of time; omit intents without fills."""
        rows = self._connection.execute(
            select(ExitFillRow)
            .with_only_columns(
                ExitFillRow.intent_id,
                ExitFillRow.broker_order_id,
                ExitFillRow.broker_trade_id,
                ExitFillRow.quantity,
                ExitFillRow.price,
                ExitFillRow.filled_at,
            )
            .where(ExitFillRow.intent_id == func.any(list(intent_ids)))
            .order_by(ExitFillRow.filled_at, ExitFillRow.broker_trade_id)
        )
        found: dict[UUID, list[Fill]] = {}
        for row in rows:
            values: dict[str, Any] = dict(row._mapping)
            found.setdefault(values.pop("intent_id"), []).append(Fill(**values))
        return found

    def totals_of_trades(self, trade_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the filled quantity of each of these trades; omit trades without fills."""
        if not trade_ids:
            return {}
        rows = fetch(self._connection, TOTALS_OF_TRADES, {"trade_ids": list(trade_ids)})
        return {trade_id: int(total) for trade_id, total in rows}

    def totals_of_legs(self, trade_ids: Collection[UUID]) -> dict[RuleKey, int]:
        """Return the filled quantity of each leg of these trades; omit legs without fills."""
        if not trade_ids:
            return {}
        rows = fetch(self._connection, LEG_TOTALS, {"trade_ids": sorted(trade_ids)})
        return {RuleKey(trade_id, ExitReason(reason), leg): int(filled) for trade_id, reason, leg, filled in rows}
