"""Repository of fill records waiting for their trade's row, in order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from shared.postgres.hot_path import Answer, ask, send

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 2.0
MOST_TRADES = 200
"""Maximum trades per query; locked ones are retried later, after the others."""

ADD = text("""
-- waiting_fills.add
INSERT INTO waiting_fills (event_id, trade_id, topic, topic_partition, topic_offset, key, value, header_names,
                           header_values, why)
VALUES (CAST(:event_id AS uuid), CAST(:trade_id AS uuid), :topic, :partition, :offset, CAST(:key AS bytea),
        CAST(:value AS bytea), CAST(:header_names AS text[]), CAST(:header_values AS bytea[]), :why)
ON CONFLICT (event_id) DO NOTHING
""")
TRADES_AMONG = text("""
-- waiting_fills.trades_among
SELECT DISTINCT trade_id FROM waiting_fills WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
""")
DUE = text("""
-- waiting_fills.due: the trades with a first record to be tried again
SELECT trade_id
  FROM (SELECT DISTINCT ON (trade_id) trade_id, waiting_id, retry_at
          FROM waiting_fills ORDER BY trade_id, waiting_id) AS first
 WHERE retry_at <= clock_timestamp()
 ORDER BY waiting_id
 LIMIT :limit
""")
LOCK_FIRST = text("""
-- waiting_fills.lock_first
SELECT waiting_id, event_id, trade_id, topic, topic_partition, topic_offset, key, value, header_names, header_values
  FROM waiting_fills WHERE trade_id = :trade_id
 ORDER BY waiting_id
 LIMIT 1
   FOR UPDATE
""")
REMOVE = text("""
-- waiting_fills.remove
DELETE FROM waiting_fills WHERE waiting_id = :waiting_id
""")
POSTPONE = text("""
-- waiting_fills.postpone: the first record of a trade is tried again after a doubling wait
UPDATE waiting_fills
   SET tries = least(tries + 1, 1000), why = :why,
       retry_at = clock_timestamp() + make_interval(secs => least(:max_s, :first_s * 2.0 ^ least(tries, 30)))
 WHERE waiting_id = (SELECT waiting_id FROM waiting_fills WHERE trade_id = :trade_id
                      ORDER BY waiting_id LIMIT 1 FOR UPDATE SKIP LOCKED)
""")
SUMMARY = text("""
-- waiting_fills.summary
SELECT trade_id, min(why) AS why, extract(epoch FROM clock_timestamp() - min(arrived_at))::float8 AS age_s
  FROM waiting_fills
 GROUP BY trade_id
 ORDER BY age_s DESC
""")


@dataclass(frozen=True, slots=True)
class RecordedFill:
    """Record as it was on its topic, with its event and trade."""

    event_id: UUID
    trade_id: UUID
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class WaitingFill:
    """Waiting record."""

    waiting_id: int
    record: RecordedFill


@dataclass(frozen=True, slots=True)
class WaitingTrade:
    """Trade with waiting records; the first has waited for `age_s` seconds."""

    trade_id: UUID
    why: str
    age_s: float


class WaitingFillRepository:
    """Waiting records of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, records: Sequence[RecordedFill], why: str) -> None:
        """Append records in order; an event already waiting keeps its place."""
        for record in records:
            send(self._connection, ADD, _row(record) | {"why": why})

    def ask_trades_among(self, trade_ids: Sequence[UUID]) -> Answer[set[UUID]]:
        """Ask for the trades with waiting records."""
        return ask(self._connection, TRADES_AMONG, {"trade_ids": list(trade_ids)}, lambda rows: {it for (it,) in rows})

    def due(self) -> list[UUID]:
        """Return at most `MOST_TRADES` trades with a first record due for a retry, longest waiting first."""
        return list(self._connection.execute(DUE, {"limit": MOST_TRADES}).scalars())

    def lock_first(self, trade_id: UUID) -> WaitingFill | None:
        """Lock and return the first waiting record of a trade; None if there is none."""
        row = self._connection.execute(LOCK_FIRST, {"trade_id": trade_id}).one_or_none()
        if row is None:
            return None
        headers = tuple(zip(row.header_names, row.header_values, strict=True))
        record = RecordedFill(
            event_id=row.event_id,
            trade_id=row.trade_id,
            topic=row.topic,
            partition=row.topic_partition,
            offset=row.topic_offset,
            key=row.key,
            value=row.value,
            headers=headers,
        )
        return WaitingFill(row.waiting_id, record)

    def remove(self, waiting: WaitingFill) -> None:
        """Remove an applied record."""
        self._connection.execute(REMOVE, {"waiting_id": waiting.waiting_id})

    def postpone(self, trade_id: UUID, why: str) -> None:
        """Delay the next attempt of a trade's first record; do nothing if the record is locked."""
        parameters = {"trade_id": trade_id, "why": why, "first_s": FIRST_WAIT_S, "max_s": LONGEST_WAIT_S}
        self._connection.execute(POSTPONE, parameters)

    def summary(self) -> list[WaitingTrade]:
        """Return every trade with waiting records, longest waiting first."""
        return [WaitingTrade(row.trade_id, row.why, row.age_s) for row in self._connection.execute(SUMMARY)]


def _row(record: RecordedFill) -> dict[str, object]:
    return {
        "event_id": record.event_id,
        "trade_id": record.trade_id,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": record.value,
        "header_names": [name for name, _ in record.headers],
        "header_values": [value for _, value in record.headers],
    }
