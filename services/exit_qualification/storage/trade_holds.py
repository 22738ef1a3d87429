"""Repository of holds: trades with no exit sent while trade management changes their terms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent_state_machine import LIVE
from shared.postgres.hot_path import fetch, send

MOST_HELD: Final = 200
"""Trades of a request at most."""

IN_FORCE: Final = "(h.held_until > clock_timestamp() OR h.awaited_version IS NOT NULL)"
"""The hold has not ended: it has time left, or waits for a version of its trade."""
IS_HELD: Final = f"i.trade_id IN (SELECT h.trade_id FROM trade_holds h WHERE {IN_FORCE})"  # noqa: S608  # our own
"""The terms of the exit's trade are being changed. The holds are read once a statement, not once an exit."""

HELD = text(f"""
-- trade_holds.held: the row lock keeps others from ending a hold until it has been extended
SELECT h.trade_id FROM trade_holds h
 WHERE h.trade_id = ANY (CAST(:trade_ids AS uuid[])) AND {IN_FORCE}
 ORDER BY h.trade_id FOR UPDATE
""")  # noqa: S608  # a condition of our own
HOLD = text("""
-- trade_holds.hold
INSERT INTO trade_holds AS h (trade_id, held_until, awaited_version)
SELECT trade_id, clock_timestamp() + make_interval(secs => :seconds), version
  FROM unnest(CAST(:trade_ids AS uuid[]), CAST(:versions AS integer[])) AS w (trade_id, version)
 ORDER BY trade_id
ON CONFLICT (trade_id) DO UPDATE
   SET held_until = EXCLUDED.held_until, awaited_version = greatest(h.awaited_version, EXCLUDED.awaited_version)
""")
FORGET = text("""
-- trade_holds.forget: holds ended by their time, or of closed trades, so the table stays small
DELETE FROM trade_holds h
 WHERE h.held_until < clock_timestamp() - interval '1 hour'
   AND (h.awaited_version IS NULL
        OR EXISTS (SELECT FROM open_trades t WHERE t.trade_id = h.trade_id AND t.status <> 'OPEN'))
""")
RELEASE = text("""
-- trade_holds.release: one waiting for another version belongs to another change, and goes on
DELETE FROM trade_holds h
 USING unnest(CAST(:trade_ids AS uuid[]), CAST(:versions AS integer[])) AS w (trade_id, version)
 WHERE h.trade_id = w.trade_id AND (h.awaited_version IS NULL OR h.awaited_version = w.version)
""")
END_OF_ADJUSTED = text("""
-- trade_holds.end_of_adjusted: the last change of the trade is known; one still being made has no version yet
DELETE FROM trade_holds h
 USING trade_adjustments a
 WHERE a.trade_id = h.trade_id AND h.trade_id = ANY (CAST(:trade_ids AS uuid[]))
   AND a.plan_version >= h.awaited_version
""")
WAITING = text(f"""
-- trade_holds.waiting: approved exits of held trades, and whether they wait for too long;
-- OFFSET 0 lets it read the holds first, mostly none, and then the exits of their trades alone
SELECT h.trade_id, count(*), bool_or(h.awaited_version IS NOT NULL AND h.held_until <= clock_timestamp())
  FROM trade_holds h
 CROSS JOIN LATERAL (SELECT e.created_at, e.status, e.executable FROM exit_intents e
                      WHERE e.trade_id = h.trade_id AND e.deleted_at IS NULL OFFSET 0) i
 WHERE {IN_FORCE} AND i.status = 'APPROVED' AND i.executable
 GROUP BY h.trade_id
 ORDER BY min(i.created_at)
""")  # noqa: S608  # a condition of our own
STANDINGS = text("""
-- trade_holds.standings: in one look, so an exit is either live or among the fills
SELECT w.trade_id,
       EXISTS (SELECT FROM exit_intents i
                WHERE i.trade_id = w.trade_id AND i.executable AND i.deleted_at IS NULL AND i.status = ANY (:live)),
       (SELECT coalesce(sum(f.quantity), 0)::bigint FROM exit_fills f WHERE f.trade_id = w.trade_id)
  FROM unnest(CAST(:trade_ids AS uuid[])) AS w (trade_id)
""")
_LIVE = sorted(LIVE)


@dataclass(frozen=True, slots=True)
class TradeStanding:
    """Whether a trade has a live exit, and how much its exits have filled."""

    trade_id: UUID
    is_live: bool
    filled_quantity: int


@dataclass(frozen=True, slots=True)
class HeldExits:
    """Exits of a trade waiting for the end of its hold.

    Attributes
    ----------
    is_late:
        The time of the hold has passed, and the change of the trade is not known yet.
    """

    trade_id: UUID
    exits: int
    is_late: bool


class TradeHoldRepository:
    """Holds of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self, trade_ids: Collection[UUID], seconds: int, versions: Mapping[UUID, int] | None = None) -> None:
        """Send no exit of these trades for so long, once the transaction commits; 0 ends their holds.

        A hold with a version goes on until `TradeAdjusted` has told it, and only the same version ends it before.
        Claims without sight of the hold are of exits approved before it: a look after the commit sees these as live.
        """
        ordered, known = sorted(trade_ids), versions or {}
        given = {"trade_ids": ordered, "versions": [known.get(trade_id) for trade_id in ordered]}
        if seconds:
            send(self._connection, FORGET, {})
            send(self._connection, HOLD, {**given, "seconds": seconds})
        else:
            send(self._connection, RELEASE, given)

    def held(self, trade_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the trades with a hold in force, and lock their holds."""
        return {trade_id for (trade_id,) in fetch(self._connection, HELD, {"trade_ids": sorted(trade_ids)})}

    def end_of_adjusted(self, trade_ids: Collection[UUID]) -> None:
        """End the holds of these trades, except those waiting for a later version than their stored adjustment has."""
        send(self._connection, END_OF_ADJUSTED, {"trade_ids": sorted(trade_ids)})

    def waiting(self) -> list[HeldExits]:
        """Return the trades with exits waiting for the end of a hold, the oldest exit first."""
        return [HeldExits(*row) for row in fetch(self._connection, WAITING, {})]

    def standings(self, trade_ids: Sequence[UUID]) -> list[TradeStanding]:
        """Return the standing of each trade, known or not."""
        rows = fetch(self._connection, STANDINGS, {"trade_ids": list(trade_ids), "live": _LIVE})
        return [TradeStanding(*row) for row in rows]
