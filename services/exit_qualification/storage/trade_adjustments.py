"""Repository of corporate actions on projected trades, stored beside them and applied once their rows are free."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.storage.trade_holds import TradeHoldRepository
from shared.contracts.trades import TradeAdjusted
from shared.exit_rules.rule import Saved
from shared.postgres.named_rows import in_status

ADD = text("""
-- trade_adjustments.add: an older event changes nothing
INSERT INTO trade_adjustments AS a (trade_id, plan_version, symbol, partition, quantity, entry_price)
SELECT w.* FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:symbols AS text[]),
                       CAST(:partitions AS integer[]), CAST(:quantities AS bigint[]), CAST(:prices AS numeric[]))
            AS w (trade_id, plan_version, symbol, partition, quantity, entry_price)
  JOIN open_trades t ON t.trade_id = w.trade_id
ON CONFLICT (trade_id) DO UPDATE
   SET plan_version = EXCLUDED.plan_version, symbol = EXCLUDED.symbol, partition = EXCLUDED.partition,
       quantity = EXCLUDED.quantity, entry_price = EXCLUDED.entry_price, applied = false
 WHERE a.plan_version < EXCLUDED.plan_version
""")
APPLY = text(f"""
-- trade_adjustments.apply: the trades' rows are locked
WITH due AS (
  UPDATE trade_adjustments SET applied = true
   WHERE trade_id = ANY (CAST(:trade_ids AS uuid[])) AND NOT applied
RETURNING trade_id, symbol, partition, quantity, entry_price)
UPDATE open_trades t
   SET symbol = due.symbol, partition = due.partition, quantity = due.quantity, entry_price = due.entry_price,
       updated_at = clock_timestamp()
  FROM due
 WHERE t.trade_id = due.trade_id AND {in_status("t", "OPEN")}
RETURNING t.partition
""")  # noqa: S608  # a condition of our own


@dataclass(frozen=True, slots=True)
class AdjustedTrade:
    """Adjustment to project: event, partition of the new symbol, and the rules' states after it."""

    event: TradeAdjusted
    partition: int
    states: Mapping[RuleKey, Saved] = field(default_factory=dict)


class TradeAdjustmentRepository:
    """Adjustments of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, adjusted: Sequence[AdjustedTrade]) -> None:
        """Store the last adjustment of each trade, without a lock of the trades' rows; leave out unknown trades."""
        newest = {each.event.trade_id: each for each in adjusted}
        rows = [newest[trade_id] for trade_id in sorted(newest)]
        values = {
            "trade_ids": [row.event.trade_id for row in rows],
            "versions": [row.event.plan_version for row in rows],
            "symbols": [row.event.new_symbol for row in rows],
            "partitions": [row.partition for row in rows],
            "quantities": [row.event.quantity for row in rows],
            "prices": [row.event.entry_price for row in rows],
        }
        self._connection.execute(ADD, values)

    def apply(self, trade_ids: Collection[UUID]) -> set[int]:
        """Change these trades, locked by the caller, as stored; return their partitions. Holds waiting for it end."""
        if not trade_ids:
            return set()
        TradeHoldRepository(self._connection).end_of_adjusted(trade_ids)
        return set(self._connection.execute(APPLY, {"trade_ids": sorted(trade_ids)}).scalars())
