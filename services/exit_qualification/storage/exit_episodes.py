"""Repository of exit episodes, the only cooldown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent import SENT_WITHIN, ExitIntent
from services.exit_qualification.domain.intent_state_machine import LIVE, UNSENT
from services.exit_qualification.domain.level_index import RuleKey
from shared.contracts.vocabulary import ExitReason
from shared.postgres.hot_path import fetch, send, stream
from shared.postgres.named_rows import in_status

GENERATE = text("""
-- exit_episodes.generate
SELECT trade_id, exit_reason, episode_id
  FROM generate_exit_episodes(CAST(:trade_ids AS uuid[]), CAST(:slots AS text[]),
                              array_fill(CAST(:cooldown AS interval), ARRAY[cardinality(CAST(:slots AS text[]))]))
""")
ELIGIBLE = text(f"""
-- exit_episodes.eligible: fired before, and nothing in the database stands against firing again, not even an exit in
-- wait to be written, as in `blocks` of the domain: a waiting intent of lower rank does not, it would be superseded,
-- unless it is about to be sent
SELECT w.trade_id, w.slot
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:slots AS text[]), CAST(:reasons AS text[]),
              CAST(:legs AS smallint[])) AS w(trade_id, slot, reason, leg)
 CROSS JOIN (SELECT CAST(:live AS text[]) AS live, CAST(:unsent AS text[]) AS unsent,
                    CAST(:ranks AS text[]) AS ranks) AS p
  JOIN open_trades t ON t.trade_id = w.trade_id AND {in_status("t", "OPEN")}
  LEFT JOIN exit_episodes e ON e.trade_id = w.trade_id AND e.exit_reason = w.slot
 WHERE coalesce(e.cooldown_until <= clock_timestamp(), true)
   AND NOT EXISTS (SELECT FROM waiting_trades q WHERE q.trade_id = w.trade_id)
   AND w.trade_id NOT IN (SELECT unnest(q.trade_ids) FROM queued_exits q)
   AND NOT EXISTS (
     SELECT FROM exit_intents i
      WHERE i.trade_id = w.trade_id AND i.executable AND i.deleted_at IS NULL AND i.exit_reason <> 'EXTERNAL'
        AND CASE
              WHEN i.leg IS NULL THEN
                (i.status = ANY (p.live) OR i.status = 'FILLED' AND NOT i.beside_leg)
                AND NOT (i.status = ANY (p.unsent)
                         AND (i.status <> 'APPROVED'
                              OR abs(extract(epoch FROM clock_timestamp() - i.updated_at)) >= :sent_within_s)
                         AND array_position(p.ranks, i.exit_reason) > array_position(p.ranks, w.reason))
              WHEN w.leg IS NOT NULL THEN
                i.leg = w.leg AND (i.status = ANY (p.live) OR i.quantity > 0 AND i.filled_quantity >= i.quantity)
              ELSE i.status = ANY (p.live)
                   AND array_position(p.ranks, i.exit_reason) <= array_position(p.ranks, w.reason)
            END)
 ORDER BY w.trade_id, array_position(p.ranks, w.reason), w.leg
""")  # noqa: S608  # a condition of our own
FINISHED = text("""
-- exit_episodes.finished: legs filled to their whole quantity
SELECT DISTINCT w.trade_id, w.slot
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:slots AS text[]), CAST(:legs AS smallint[])) AS w(trade_id, slot, leg)
  JOIN exit_intents i ON i.trade_id = w.trade_id AND i.leg = w.leg
 WHERE i.executable AND i.deleted_at IS NULL AND i.quantity > 0 AND i.filled_quantity >= i.quantity
""")
BACK_OFF = text("""
-- exit_episodes.back_off: doubles from first_s up to max_s with every failure in a row
UPDATE exit_episodes
   SET failures = least(failures + 1, 1000),
       cooldown_until = clock_timestamp() + make_interval(secs => least(:max_s, :first_s * 2.0 ^ least(failures, 30)))
 WHERE trade_id = :trade_id AND exit_reason = :slot
""")
RELEASE = text("""
-- exit_episodes.release
UPDATE exit_episodes e SET cooldown_until = clock_timestamp()
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:slots AS text[])) AS w(trade_id, slot)
 WHERE e.trade_id = w.trade_id AND e.exit_reason = w.slot AND e.cooldown_until > clock_timestamp()
""")
FORGIVE = text("""
-- exit_episodes.forgive
UPDATE exit_episodes e SET failures = 0
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:slots AS text[])) AS w(trade_id, slot)
 WHERE e.trade_id = w.trade_id AND e.exit_reason = w.slot AND e.failures > 0
""")

WITH_EPISODES = text("""
-- exit_episodes.open_trades_with_episodes
SELECT t.trade_id FROM open_trades t
 WHERE t.partition = ANY (CAST(:partitions AS integer[])) AND t.status = 'OPEN'
   AND EXISTS (SELECT FROM exit_episodes e WHERE e.trade_id = t.trade_id)
""")

IDS_AT_ONCE = 10_000

_LIVE = sorted(LIVE)
_UNSENT = sorted(UNSENT)
_RANKS = [str(reason) for reason in ExitReason]


class ExitEpisodeRepository:
    """Episodes of one transaction. The database's clock decides."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def generate(self, keys: Sequence[RuleKey], cooldown: timedelta) -> dict[RuleKey, int]:
        """Create an episode for each eligible rule; omit rules under cooldown.

        Each leg has a cooldown; its number is the next one of the trade and reason.
        """
        if not keys:
            return {}
        rows = fetch(self._connection, GENERATE, _slots(keys) | {"cooldown": cooldown})
        return {RuleKey.of_slot(trade_id, slot): episode_id for trade_id, slot, episode_id in rows}

    def eligible(self, keys: Sequence[RuleKey]) -> list[RuleKey]:
        """Return eligible rules, without cooldown or blocking intent, by trade, then by rank."""
        if not keys:
            return []
        wanted = {
            **_slots(keys),
            "reasons": [str(key.reason) for key in keys],
            "legs": [key.leg for key in keys],
            "live": _LIVE,
            "unsent": _UNSENT,
            "ranks": _RANKS,
            "sent_within_s": SENT_WITHIN.total_seconds(),
        }
        return [RuleKey.of_slot(*row) for row in fetch(self._connection, ELIGIBLE, wanted)]

    def finished(self, keys: Sequence[RuleKey]) -> list[RuleKey]:
        """Return the filled legs; they never fire again."""
        legs = [key for key in keys if key.leg is not None]
        if not legs:
            return []
        rows = fetch(self._connection, FINISHED, _slots(legs) | {"legs": [key.leg for key in legs]})
        return [RuleKey.of_slot(*row) for row in rows]

    def back_off(self, key: RuleKey, *, first_s: float, max_s: float) -> None:
        """Delay the rule of an intent that ended with quantity left; the wait doubles."""
        wait = {"trade_id": key.trade_id, "slot": key.slot, "first_s": first_s, "max_s": max_s}
        fetch(self._connection, BACK_OFF, wait)

    def release(self, keys: Sequence[RuleKey]) -> None:
        """Allow the rules to fire again immediately; keep their count of failures."""
        if keys:
            send(self._connection, RELEASE, _slots(keys))

    def filled(self, intents: Sequence[ExitIntent]) -> None:
        """Reset the failures of filled exits' rules: the next failure starts with the first wait.

        An exit beside a leg leaves the leg's quantity to it. Its rule takes the rest not filled by the leg, without a
        cooldown.
        """
        if intents:
            send(self._connection, FORGIVE, _slots([intent.rule_key for intent in intents]))
            self.release([intent.rule_key for intent in intents if intent.beside_leg])

    def open_trades_with_episodes(self, partitions: Sequence[int]) -> Iterator[UUID]:
        """Yield the open trades of these partitions with any episode."""
        for (trade_id,) in stream(self._connection, WITH_EPISODES, {"partitions": list(partitions)}, IDS_AT_ONCE):
            yield trade_id


def _slots(keys: Sequence[RuleKey]) -> dict[str, Any]:
    return {"trade_ids": [key.trade_id for key in keys], "slots": [key.slot for key in keys]}
