"""Rows of one trade for its explanation alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.vocabulary import Direction, ExitReason
from shared.postgres.hot_path import Answer, ask

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

    def ask_signals(self, trade_id: UUID, limit: int) -> Answer[list[ExitSignal]]:
        """Ask for the latest signals of a trade."""
        wanted = {"trade_id": trade_id, "limit": limit}
        return ask(self._connection, SIGNALS, wanted, lambda rows: [_signal(*row) for row in rows])

    def ask_cooldowns(self, trade_id: UUID) -> Answer[dict[RuleKey, Cooldown]]:
        """Ask for the cooldown of every rule after its first firing."""

        def by_rule(rows: Sequence[tuple[Any, ...]]) -> dict[RuleKey, Cooldown]:
            return {RuleKey.of_slot(trade_id, slot): Cooldown(*facts) for slot, *facts in rows}

        return ask(self._connection, COOLDOWNS, {"trade_id": trade_id}, by_rule)

    def ask_waiting(self, trade_id: UUID) -> Answer[list[WaitingWork]]:
        """Ask for the waiting work of a trade."""
        return ask(self._connection, WAITING, {"trade_id": trade_id}, lambda rows: [WaitingWork(*row) for row in rows])


def _signal(
    signal_id: UUID,
    trade_id: UUID,
    symbol: str,
    direction: str,
    exit_reason: str,
    episode_id: int,
    detected_price: Decimal | None,
    detected_at: datetime,
    leg: int | None,
) -> ExitSignal:
    return ExitSignal(
        signal_id=signal_id,
        trade_id=trade_id,
        symbol=symbol,
        direction=Direction(direction),
        exit_reason=ExitReason(exit_reason),
        episode_id=episode_id,
        detected_price=detected_price,
        detected_at=detected_at,
        leg=leg,
    )
