"""Rows of one trade for its explanation alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.vocabulary import Direction, ExitReason

SIGNALS = text("""
-- exit_history.signals
SELECT signal_id, trade_id, symbol, direction, exit_reason, episode_id, detected_price, detected_at, leg
  FROM exit_signals WHERE trade_id = :trade_id ORDER BY created_at DESC LIMIT :limit
""")
COOLDOWNS = text("""
-- exit_history.cooldowns
SELECT exit_reason, last_episode_id, CASE WHEN isfinite(cooldown_until) THEN cooldown_until END AS cooldown_until,
       cooldown_until > clock_timestamp() AS holds
  FROM exit_episodes WHERE trade_id = :trade_id
""")
WAITING = text("""
-- exit_history.waiting: for a locked row, or behind other exits of a burst
SELECT work, waits_since, tries, retry_at, why FROM waiting_trades WHERE trade_id = :trade_id
 UNION ALL
SELECT e ->> 'work', q.queued_at, 0, q.queued_at, 'queued behind other exits of the same ticks'
  FROM queued_exits q CROSS JOIN json_array_elements(q.exits) AS e
 WHERE q.trade_ids @> ARRAY[CAST(:trade_id AS uuid)] AND e ->> 'trade_id' = CAST(:trade_id AS text)
 ORDER BY work
""")


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Last episode of a reason, and until when the reason must not fire again; None if it may."""

    episode_id: int
    until: datetime | None
    holds: bool


@dataclass(frozen=True, slots=True)
class WaitingWork:
    """Exit or closure waiting for a locked row, or behind other exits."""

    work: str
    waits_since: datetime
    tries: int
    retry_at: datetime
    why: str


class ExitHistoryRepository:
    """History of one trade's exits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def signals(self, trade_id: UUID, limit: int) -> list[ExitSignal]:
        """Return the latest signals of a trade."""
        rows = self._connection.execute(SIGNALS, {"trade_id": trade_id, "limit": limit})
        return [
            ExitSignal(
                signal_id=row.signal_id,
                trade_id=row.trade_id,
                symbol=row.symbol,
                direction=Direction(row.direction),
                exit_reason=ExitReason(row.exit_reason),
                episode_id=row.episode_id,
                detected_price=row.detected_price,
                detected_at=row.detected_at,
                leg=row.leg,
            )
            for row in rows
        ]

    def cooldowns(self, trade_id: UUID) -> dict[RuleKey, Cooldown]:
        """Return the cooldown of every rule after its first firing."""
        rows = self._connection.execute(COOLDOWNS, {"trade_id": trade_id})
        return {
            RuleKey.of_slot(trade_id, row.exit_reason): Cooldown(row.last_episode_id, row.cooldown_until, row.holds)
            for row in rows
        }

    def waiting(self, trade_id: UUID) -> list[WaitingWork]:
        """Return the waiting work of a trade."""
        return [WaitingWork(**row._mapping) for row in self._connection.execute(WAITING, {"trade_id": trade_id})]
