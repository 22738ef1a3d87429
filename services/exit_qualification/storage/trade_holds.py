"""Repository of holds: trades with no exit sent while trade management changes their terms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent_state_machine import LIVE
from shared.postgres.hot_path import fetch, send

MOST_HELD: Final = 200
"""Trades of a request at most."""

IS_HELD: Final = "i.trade_id IN (SELECT trade_id FROM trade_holds WHERE held_until > clock_timestamp())"
"""The terms of the exit's trade are being changed. The holds are read once a statement, not once an exit."""

HOLD = text("""
-- trade_holds.hold
INSERT INTO trade_holds (trade_id, held_until)
SELECT trade_id, clock_timestamp() + make_interval(secs => :seconds)
  FROM unnest(CAST(:trade_ids AS uuid[])) AS w (trade_id)
 ORDER BY trade_id
ON CONFLICT (trade_id) DO UPDATE SET held_until = EXCLUDED.held_until
""")
FORGET = text("""
-- trade_holds.forget: holds ended by their time alone, so the table stays small
DELETE FROM trade_holds WHERE held_until < clock_timestamp() - interval '1 hour'
""")
RELEASE = text("""
-- trade_holds.release
DELETE FROM trade_holds WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")
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


class TradeHoldRepository:
    """Holds of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self, trade_ids: Collection[UUID], seconds: int) -> None:
        """Send no exit of these trades for so long, once the transaction commits; 0 ends their holds.

        Claims without sight of the hold are of exits approved before it: a look after the commit sees these as live.
        """
        if seconds:
            send(self._connection, FORGET, {})
            send(self._connection, HOLD, {"trade_ids": sorted(trade_ids), "seconds": seconds})
        else:
            self.release(trade_ids)

    def release(self, trade_ids: Collection[UUID]) -> None:
        """End the holds of these trades."""
        send(self._connection, RELEASE, {"trade_ids": sorted(trade_ids)})

    def standings(self, trade_ids: Sequence[UUID]) -> list[TradeStanding]:
        """Return the standing of each trade, known or not."""
        rows = fetch(self._connection, STANDINGS, {"trade_ids": list(trade_ids), "live": _LIVE})
        return [TradeStanding(*row) for row in rows]
