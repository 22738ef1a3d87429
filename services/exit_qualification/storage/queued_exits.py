"""Repository of a burst's exits beyond one transaction, in chunks of one symbol."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec
from sqlalchemy import Connection, text

from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.storage.waiting_trades import MOST_TRADES, WaitingRow, rows_of
from shared.postgres.hot_path import Answer, ask, send

ADD = text("""
-- queued_exits.add: a row for each chunk, on the partition of its trades
INSERT INTO queued_exits (partition, symbol, trade_ids, exits)
SELECT (SELECT t.partition FROM open_trades t WHERE t.trade_id = CAST(w.first AS uuid)),
       w.symbol, CAST(w.trade_ids AS uuid[]), CAST(w.exits AS json)
  FROM unnest(CAST(:symbols AS text[]), CAST(:firsts AS text[]), CAST(:trade_ids AS text[]), CAST(:exits AS text[]))
         WITH ORDINALITY AS w (symbol, first, trade_ids, exits, n)
 ORDER BY w.n
""")
TAKE = text("""
-- queued_exits.take: the oldest chunks, as many as one transaction writes, one at least, as another version may have
-- queued larger ones; the caller holds their partitions
DELETE FROM queued_exits
 WHERE queue_id IN (
   SELECT q.queue_id
     FROM (SELECT queue_id, sum(cardinality(trade_ids)) OVER oldest_first AS trades,
                  row_number() OVER oldest_first AS nth
             FROM queued_exits WHERE partition = ANY (CAST(:partitions AS integer[]))
           WINDOW oldest_first AS (ORDER BY queue_id)) AS q
    WHERE q.trades <= :most OR q.nth = 1)
RETURNING queue_id, symbol, CAST(exits AS text)
""")
SYMBOL_PARTITIONS = text("SELECT DISTINCT symbol, partition FROM queued_exits")
MOVE = text("""
-- queued_exits.move
UPDATE queued_exits q SET partition = home.partition
  FROM unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[])) AS home (symbol, partition)
 WHERE home.symbol = q.symbol
""")

_read = msgspec.json.Decoder(list[WaitingRow]).decode


@dataclass(frozen=True, slots=True)
class QueuedExits:
    """Exits taken from the queue, the oldest first, and their symbols."""

    rows: list[WaitingRow]
    symbols: set[str]


class QueuedExitRepository:
    """Queued exits of one transaction. Only the owner of their partition takes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, detected: Iterable[ExitCandidates]) -> None:
        """Queue exits in their order, by symbol; all decisions on a trade are in one chunk."""
        chunks = list(_chunks(detected))
        if not chunks:
            return
        trades = [[str(trade_id) for trade_id in dict.fromkeys(row.trade_id for row in rows)] for _, rows in chunks]
        parameters = {
            "symbols": [symbol for symbol, _ in chunks],
            "firsts": [of_chunk[0] for of_chunk in trades],
            "trade_ids": ["{" + ",".join(of_chunk) + "}" for of_chunk in trades],
            "exits": [msgspec.json.encode(rows).decode() for _, rows in chunks],
        }
        send(self._connection, ADD, parameters)

    def ask_oldest(self, partitions: Collection[int]) -> Answer[QueuedExits]:
        """Ask for the oldest queued exits of these partitions, in whole chunks, and remove them."""
        wanted = {"partitions": sorted(partitions), "most": MOST_TRADES}
        return ask(self._connection, TAKE, wanted, _taken)

    def symbol_partitions(self) -> list[tuple[str, int]]:
        """Return every symbol with queued exits, with their partition."""
        return [(row.symbol, row.partition) for row in self._connection.execute(SYMBOL_PARTITIONS)]

    def move(self, homes: Mapping[str, int]) -> None:
        """Move the queued exits of these symbols to other partitions."""
        if homes:
            self._connection.execute(MOVE, {"symbols": list(homes), "partitions": list(homes.values())})


def _taken(chunks: list[tuple[int, str, str]]) -> QueuedExits:
    rows = [row for _, _, exits in sorted(chunks) for row in _read(exits)]
    return QueuedExits(rows, {symbol for _, symbol, _ in chunks})


def _chunks(detected: Iterable[ExitCandidates]) -> Iterator[tuple[str, list[WaitingRow]]]:
    """Yield the rows of at most `MOST_TRADES` trades of one symbol."""
    by_symbol: dict[str, dict[object, list[WaitingRow]]] = {}
    for entry in detected:
        of_symbol = by_symbol.setdefault(entry.trade.symbol, {})
        of_symbol.setdefault(entry.trade.trade_id, []).extend(rows_of(entry))
    for symbol, by_trade in by_symbol.items():
        trades = iter(by_trade.values())
        while chunk := list(islice(trades, MOST_TRADES)):
            yield symbol, [row for rows in chunk for row in rows]
