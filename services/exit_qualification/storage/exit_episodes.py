"""Repository of exit episodes, the only cooldown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.exit_signal import TradeReason
from services.exit_qualification.domain.intent import SENT_WITHIN
from services.exit_qualification.domain.intent_state_machine import LIVE, UNSENT
from shared.contracts.vocabulary import ExitReason, IntentStatus

GENERATE = text("""
-- exit_episodes.generate
SELECT trade_id, exit_reason, episode_id
  FROM generate_exit_episodes(CAST(:trade_ids AS uuid[]), CAST(:reasons AS text[]), CAST(:cooldowns AS interval[]))
""")
ELIGIBLE = text("""
-- exit_episodes.eligible: fired before, and nothing in the database stands against firing again, not even an exit
-- that waits to be written; a waiting intent of lower rank does not, it would be superseded, unless it is about to be
-- sent
SELECT w.trade_id, w.reason
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:reasons AS text[])) AS w(trade_id, reason)
  JOIN open_trades t ON t.trade_id = w.trade_id AND t.status = 'OPEN'
  LEFT JOIN exit_episodes e ON e.trade_id = w.trade_id AND e.exit_reason = w.reason
 WHERE coalesce(e.cooldown_until <= clock_timestamp(), true)
   AND NOT EXISTS (SELECT FROM waiting_trades q WHERE q.trade_id = w.trade_id)
   AND NOT EXISTS (
     SELECT FROM exit_intents i
      WHERE i.trade_id = w.trade_id AND i.executable AND i.deleted_at IS NULL AND i.exit_reason <> 'EXTERNAL'
        AND i.status = ANY (:slot)
        AND NOT (i.status = ANY (:unsent)
                 AND (i.status <> 'APPROVED'
                      OR abs(extract(epoch FROM clock_timestamp() - i.updated_at)) >= :sent_within_s)
                 AND array_position(:ranks, i.exit_reason) > array_position(:ranks, w.reason)))
 ORDER BY w.trade_id, array_position(:ranks, w.reason)
""")
BACK_OFF = text("""
-- exit_episodes.back_off: doubles from first_s up to max_s with every failure in a row
UPDATE exit_episodes
   SET failures = least(failures + 1, 1000),
       cooldown_until = clock_timestamp() + make_interval(secs => least(:max_s, :first_s * 2.0 ^ least(failures, 30)))
 WHERE trade_id = :trade_id AND exit_reason = :reason
""")
RELEASE = text("""
-- exit_episodes.release
UPDATE exit_episodes e SET cooldown_until = clock_timestamp()
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:reasons AS text[])) AS w(trade_id, reason)
 WHERE e.trade_id = w.trade_id AND e.exit_reason = w.reason AND e.cooldown_until > clock_timestamp()
""")
FORGIVE = text("""
-- exit_episodes.forgive
UPDATE exit_episodes SET failures = 0 WHERE trade_id = :trade_id AND exit_reason = :reason AND failures > 0
""")

WITH_EPISODES = text("""
-- exit_episodes.open_trades_with_episodes
SELECT t.trade_id FROM open_trades t
 WHERE t.partition = ANY (:partitions) AND t.status = 'OPEN'
   AND EXISTS (SELECT FROM exit_episodes e WHERE e.trade_id = t.trade_id)
""")

_SLOT = sorted(LIVE | {IntentStatus.FILLED})
_UNSENT = sorted(UNSENT)
_RANKS = [str(reason) for reason in ExitReason]


class ExitEpisodeRepository:
    """Episodes of one transaction. The database's clock decides."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def generate(self, pairs: Sequence[TradeReason], cooldown: timedelta) -> dict[TradeReason, int]:
        """Create an episode for each eligible (trade, reason); omit pairs under cooldown."""
        if not pairs:
            return {}
        rows = self._connection.execute(
            GENERATE,
            {
                "trade_ids": [trade_id for trade_id, _ in pairs],
                "reasons": [str(reason) for _, reason in pairs],
                "cooldowns": [cooldown] * len(pairs),
            },
        )
        return {(row.trade_id, ExitReason(row.exit_reason)): row.episode_id for row in rows}

    def eligible(self, pairs: Sequence[TradeReason]) -> list[TradeReason]:
        """Return eligible reasons, without cooldown or blocking intent, by trade, then by rank."""
        if not pairs:
            return []
        rows = self._connection.execute(
            ELIGIBLE,
            {
                "trade_ids": [trade_id for trade_id, _ in pairs],
                "reasons": [str(reason) for _, reason in pairs],
                "slot": _SLOT,
                "unsent": _UNSENT,
                "ranks": _RANKS,
                "sent_within_s": SENT_WITHIN.total_seconds(),
            },
        )
        return [(row.trade_id, ExitReason(row.reason)) for row in rows]

    def back_off(self, trade_id: UUID, reason: ExitReason, *, first_s: float, max_s: float) -> None:
        """Delay the reasons of intents that ended with quantity left; the wait doubles."""
        self._connection.execute(BACK_OFF, {"trade_id": trade_id, "reason": reason, "first_s": first_s, "max_s": max_s})

    def release(self, pairs: Sequence[TradeReason]) -> None:
        """Allow the reasons to fire again immediately; keep their count of failures."""
        if pairs:
            self._connection.execute(
                RELEASE,
                {
                    "trade_ids": [trade_id for trade_id, _ in pairs],
                    "reasons": [str(reason) for _, reason in pairs],
                },
            )

    def forgive(self, trade_id: UUID, reason: ExitReason) -> None:
        """Reset the failures of filled reasons: the next failure starts with the first wait."""
        self._connection.execute(FORGIVE, {"trade_id": trade_id, "reason": reason})

    def open_trades_with_episodes(self, partitions: Sequence[int]) -> list[UUID]:
        """Return the open trades of these partitions with any episode, with their reasons."""
        return list(self._connection.execute(WITH_EPISODES, {"partitions": list(partitions)}).scalars())
