"""Repository of exits and closures whose trade row was locked when the tick worker needed it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.domain.level_index import RuleKey
from shared.instants import EPOCH
from shared.money import SCALE, to_units
from shared.postgres.hot_path import fetch

CLOSE, ADJUST = "CLOSE", "ADJUST"
NO_RULE = (CLOSE, ADJUST)
"""Work other than the exit of a rule."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 2.0
MOST_TRADES = 500
"""Maximum trades per query; the rest follows once these have advanced or been postponed."""

LOCKED = "another transaction holds its row"
ADD = text(f"""
-- waiting_trades.add: a row for each object; prices in units, times in microseconds since 1970
INSERT INTO waiting_trades (trade_id, work, detected_price, detected_at, exit_level, why)
SELECT w.trade_id, w.work, CAST(w.price AS numeric) / {SCALE},
       'epoch'::timestamptz + w.at_us * interval '1 microsecond', CAST(w.level AS numeric) / {SCALE}, :why
  FROM json_to_recordset(CAST(:rows AS json)) AS w (trade_id uuid, work text, price bigint, at_us bigint, level bigint)
 ORDER BY 1, 2
ON CONFLICT (trade_id, work) DO NOTHING
""")  # noqa: S608  # a number of our own
OF_PARTITIONS = text("""
-- waiting_trades.of_partitions
SELECT w.trade_id, bool_and(w.retry_at <= clock_timestamp()) AS due,
       extract(epoch FROM clock_timestamp() - min(w.waits_since))::float8 AS age_s, min(w.why) AS why
  FROM waiting_trades w
  JOIN open_trades t ON t.trade_id = w.trade_id
 WHERE t.partition = ANY (:partitions)
 GROUP BY w.trade_id
 ORDER BY min(w.tries), min(w.waits_since)
""")
LOCK = text("""
-- waiting_trades.lock
SELECT w.trade_id, w.work, w.detected_price, w.detected_at, w.exit_level
  FROM waiting_trades w
 WHERE w.trade_id = ANY (CAST(:trade_ids AS uuid[]))
 ORDER BY w.trade_id, w.work
   FOR UPDATE
""")
REMOVE = text("""
-- waiting_trades.remove
DELETE FROM waiting_trades WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")
POSTPONE = text("""
-- waiting_trades.postpone: tried again after a doubling wait
UPDATE waiting_trades
   SET why = :locked, tries = least(tries + 1, 1000),
       retry_at = clock_timestamp() + make_interval(secs => least(:max_s, :first_s * 2.0 ^ least(tries, 30)))
 WHERE (trade_id, work) IN (SELECT trade_id, work FROM waiting_trades
                             WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
                             ORDER BY trade_id, work FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class WaitingTrade:
    """Trade with waiting work: whether it is due, its waiting time and the cause."""

    trade_id: UUID
    due: bool
    age_s: float
    why: str


class WaitingRow(msgspec.Struct, frozen=True, gc=False):
    """One waiting exit, closure or adjustment: prices in units, time in microseconds since 1970."""

    trade_id: UUID
    work: str
    price: int | None = None
    at_us: int | None = None
    level: int | None = None

    @property
    def rule_key(self) -> RuleKey | None:
        """Return the key of the exiting rule; None for other work."""
        return None if self.work in NO_RULE else RuleKey.of_slot(self.trade_id, self.work)


class WaitingTradeRepository:
    """Waiting work of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_exits(self, detected: Iterable[ExitCandidates]) -> bool:
        """Store waiting candidates; for one already waiting the first detection stays. Answer as of `add`."""
        return self.add([row for entry in detected for row in rows_of(entry)])

    def add_closures(self, trade_ids: Iterable[UUID]) -> bool:
        """Store waiting closures. Answer as of `add`."""
        return self.add([WaitingRow(trade_id, CLOSE) for trade_id in trade_ids])

    def add_adjustments(self, trade_ids: Iterable[UUID]) -> bool:
        """Store waiting adjustments to corporate actions. Answer as of `add`."""
        return self.add([WaitingRow(trade_id, ADJUST) for trade_id in trade_ids])

    def add(self, rows: Sequence[WaitingRow]) -> bool:
        """Store waiting work; of work already waiting the first row stays. Return whether there is any."""
        if rows:
            fetch(self._connection, ADD, {"rows": msgspec.json.encode(rows).decode(), "why": LOCKED})
        return bool(rows)

    def of_partitions(self, partitions: Collection[int]) -> list[WaitingTrade]:
        """Return every trade of these partitions with work waiting for a row, least tried first."""
        rows = self._connection.execute(OF_PARTITIONS, {"partitions": sorted(partitions)})
        return [WaitingTrade(row.trade_id, row.due, row.age_s, row.why) for row in rows]

    def lock(self, trade_ids: Sequence[UUID]) -> list[WaitingRow]:
        """Return the waiting work of these trades, locked until the transaction ends; lock the trades' rows before."""
        rows = fetch(self._connection, LOCK, {"trade_ids": list(trade_ids)})
        return [
            WaitingRow(
                trade_id,
                work,
                None if price is None else to_units(price),
                None if at is None else (at - EPOCH) // timedelta(microseconds=1),
                None if level is None else to_units(level),
            )
            for trade_id, work, price, at, level in rows
        ]

    def remove(self, trade_ids: Sequence[UUID]) -> None:
        """Remove the completed work of these trades."""
        fetch(self._connection, REMOVE, {"trade_ids": list(trade_ids)})

    def postpone(self, trade_ids: Collection[UUID]) -> None:
        """Delay the next attempt of these trades' work; locked rows keep their time."""
        if trade_ids:
            parameters = {
                "trade_ids": sorted(trade_ids),
                "first_s": FIRST_WAIT_S,
                "max_s": LONGEST_WAIT_S,
                "locked": LOCKED,
            }
            self._connection.execute(POSTPONE, parameters)


def rows_of(entry: ExitCandidates) -> list[WaitingRow]:
    """Return the waiting work of a decision, a row for each candidate."""
    return [
        WaitingRow(each.trade_id, each.rule_key.slot, each.detected_price, each.detected_at_us, each.level)
        for each in entry.candidates
    ]
