"""TickCheckpointRepository: how far each partition is judged, who may go on, and what the engine knew there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Row, text

from services.exit_qualification.domain.symbol_book import SymbolState
from shared.clock import EPOCH, epoch_ms
from shared.contracts.vocabulary import Direction
from shared.errors import Fenced
from shared.money import from_units, to_units

CLAIM = text("""
-- tick_checkpoints.claim: waits for a transaction of the owner before, and fences every later one of it
INSERT INTO tick_partitions AS t (partition, epoch, owner)
SELECT p, 1, :owner FROM unnest(CAST(:partitions AS integer[])) AS p ORDER BY p
ON CONFLICT (partition) DO UPDATE
   SET epoch = t.epoch + 1, owner = EXCLUDED.owner, updated_at = clock_timestamp()
RETURNING t.partition, t.epoch, t.tick_offset, t.trade_offset
""")
HOLD = text("""
-- tick_checkpoints.hold
SELECT t.partition
  FROM tick_partitions t
  JOIN unnest(CAST(:partitions AS integer[]), CAST(:epochs AS bigint[])) AS mine (partition, epoch)
    ON mine.partition = t.partition AND mine.epoch = t.epoch
 ORDER BY t.partition
   FOR UPDATE OF t
""")
ADVANCE = text("""
-- tick_checkpoints.advance: the rows are locked by hold
UPDATE tick_partitions t
   SET tick_offset = mine.tick_offset, trade_offset = mine.trade_offset, updated_at = clock_timestamp()
  FROM unnest(CAST(:partitions AS integer[]), CAST(:tick_offsets AS bigint[]), CAST(:trade_offsets AS bigint[]))
       AS mine (partition, tick_offset, trade_offset)
 WHERE t.partition = mine.partition
""")
SAVE_SYMBOLS = text("""
-- tick_checkpoints.save_symbols
INSERT INTO tick_symbols AS s (symbol, partition, last_price, last_ts, last_seq, last_arrived_at, ticks, stairs)
SELECT * FROM unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[]), CAST(:prices AS numeric[]),
                     CAST(:times AS timestamptz[]), CAST(:seqs AS bigint[]), CAST(:arrived AS timestamptz[]),
                     CAST(:ticks AS bigint[]), CAST(:stairs AS jsonb[]))
ON CONFLICT (symbol) DO UPDATE
   SET partition = EXCLUDED.partition, last_price = EXCLUDED.last_price, last_ts = EXCLUDED.last_ts,
       last_seq = EXCLUDED.last_seq, last_arrived_at = EXCLUDED.last_arrived_at,
       ticks = EXCLUDED.ticks, stairs = EXCLUDED.stairs, updated_at = clock_timestamp()
""")
SYMBOLS = text("""
-- tick_checkpoints.symbols: no tick was stamped or arrived after its state was stored, whatever a clock said
SELECT symbol, partition, last_price, least(last_ts, updated_at) AS last_ts, last_seq,
       least(last_arrived_at, updated_at) AS last_arrived_at, ticks, stairs
  FROM tick_symbols
 WHERE partition = ANY (:partitions)
""")
FREE_SYMBOLS = text("""
-- tick_checkpoints.free_symbols
SELECT symbol FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[])) ORDER BY symbol FOR UPDATE SKIP LOCKED
""")
KNOWN_SYMBOLS = text("""
-- tick_checkpoints.known_symbols
SELECT symbol FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[]))
""")
RESET = text("""
-- tick_checkpoints.reset: the epochs go on, so that a worker still at work is fenced
WITH locked AS (SELECT partition FROM tick_partitions ORDER BY partition FOR UPDATE)
UPDATE tick_partitions t
   SET tick_offset = 0, trade_offset = 0, epoch = t.epoch + 1, owner = NULL, updated_at = clock_timestamp()
  FROM locked WHERE locked.partition = t.partition
RETURNING t.partition
""")

STORED = text("SELECT partition, epoch, tick_offset, trade_offset FROM tick_partitions")
LOCK_ALL = text("SELECT partition FROM tick_partitions ORDER BY partition FOR UPDATE")
FENCE_ALL = text("""
-- tick_checkpoints.fence_all: the rows are locked by lock_all
UPDATE tick_partitions SET epoch = epoch + 1, owner = NULL, updated_at = clock_timestamp()
""")
LOCK = text("""
-- tick_checkpoints.lock
SELECT partition FROM tick_partitions WHERE partition = ANY (:partitions) ORDER BY partition FOR UPDATE
""")
FENCE = text("""
-- tick_checkpoints.fence: the rows are locked by lock
UPDATE tick_partitions SET epoch = epoch + 1, updated_at = clock_timestamp() WHERE partition = ANY (:partitions)
""")
SYMBOL_PARTITIONS = text("SELECT symbol, partition FROM tick_symbols")
MOVE_SYMBOLS = text("""
-- tick_checkpoints.move_symbols
UPDATE tick_symbols s SET partition = home.partition, updated_at = clock_timestamp()
  FROM unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[])) AS home (symbol, partition)
 WHERE home.symbol = s.symbol
RETURNING s.symbol
""")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The next offsets of a partition of both topics, and the epoch under which they may be moved."""

    epoch: int
    tick_offset: int
    trade_offset: int


@dataclass(frozen=True, slots=True)
class SymbolCheckpoint:
    """A symbol's state at the offsets of its partition."""

    symbol: str
    partition: int
    state: SymbolState


class TickCheckpointRepository:
    """Checkpoints of one transaction. Rows are always locked in order of their partition."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, partitions: Sequence[int], owner: str) -> dict[int, Checkpoint]:
        """Take the partitions over; a partition that nobody had starts at offset 0, the earliest there is."""
        rows = self._connection.execute(CLAIM, {"partitions": sorted(partitions), "owner": owner})
        return {row.partition: Checkpoint(row.epoch, row.tick_offset, row.trade_offset) for row in rows}

    def hold(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Keep the partitions from being taken over until the transaction ends.

        Raises
        ------
        Fenced
            One was taken over already.
        """
        partitions = sorted(checkpoints)
        epochs = [checkpoints[partition].epoch for partition in partitions]
        held = self._connection.execute(HOLD, {"partitions": partitions, "epochs": epochs}).scalars().all()
        if lost := sorted(set(partitions) - set(held)):
            raise Fenced(f"partitions {lost} were taken over by another worker", partitions=lost)

    def advance(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Move the offsets of partitions of one's own.

        Raises
        ------
        Fenced
            One was taken over; nothing may be kept of this transaction.
        """
        self.hold(checkpoints)
        partitions = sorted(checkpoints)
        self._connection.execute(
            ADVANCE,
            {
                "partitions": partitions,
                "tick_offsets": [checkpoints[partition].tick_offset for partition in partitions],
                "trade_offsets": [checkpoints[partition].trade_offset for partition in partitions],
            },
        )

    def save_symbols(self, symbols: Sequence[SymbolCheckpoint]) -> None:
        """Store the state of these symbols."""
        if not symbols:
            return
        self._connection.execute(
            SAVE_SYMBOLS,
            {
                "symbols": [each.symbol for each in symbols],
                "partitions": [each.partition for each in symbols],
                "prices": [from_units(each.state.last_price) for each in symbols],
                "times": [EPOCH + timedelta(microseconds=each.state.last_ts_us) for each in symbols],
                "seqs": [each.state.last_seq for each in symbols],
                "arrived": [EPOCH + timedelta(milliseconds=each.state.last_arrived_ms) for each in symbols],
                "ticks": [each.state.ticks for each in symbols],
                "stairs": [json.dumps(each.state.stairs) for each in symbols],
            },
        )

    def symbols_held_by_others(self, symbols: Sequence[str]) -> set[str]:
        """Lock those of the symbols that are free, and return those whose row another transaction holds."""
        wanted = {"symbols": sorted(symbols)}
        free = set(self._connection.execute(FREE_SYMBOLS, wanted).scalars())
        return set(self._connection.execute(KNOWN_SYMBOLS, wanted).scalars()) - free

    def symbols(self, partitions: Sequence[int]) -> list[SymbolCheckpoint]:
        """The state of every symbol of these partitions."""
        return [_symbol(row) for row in self._connection.execute(SYMBOLS, {"partitions": list(partitions)})]

    def stored(self) -> dict[int, Checkpoint]:
        """Return where every partition stands, whoever holds it."""
        rows = self._connection.execute(STORED)
        return {row.partition: Checkpoint(row.epoch, row.tick_offset, row.trade_offset) for row in rows}

    def fence_others(self, partitions: Collection[int], held: Collection[int]) -> None:
        """Make the owners of these partitions load them again, but for those `held` by the caller.

        What the caller holds is locked too, so that workers that do this to one another do not deadlock.
        """
        others = sorted(set(partitions) - set(held))
        if others:
            self._connection.execute(LOCK, {"partitions": sorted({*others, *held})})
            self._connection.execute(FENCE, {"partitions": others})

    def lock_all(self) -> None:
        """Keep every partition from being written or taken over until the transaction ends."""
        self._connection.execute(LOCK_ALL)

    def fence_all(self) -> None:
        """Make every worker load its partitions again."""
        self._connection.execute(FENCE_ALL)

    def symbol_partitions(self) -> list[tuple[str, int]]:
        """Return every known symbol with its partition."""
        return [(row.symbol, row.partition) for row in self._connection.execute(SYMBOL_PARTITIONS)]

    def move_symbols(self, homes: Mapping[str, int]) -> int:
        """Move the state of these symbols to other partitions; return how many."""
        if not homes:
            return 0
        values = {"symbols": list(homes), "partitions": list(homes.values())}
        return len(self._connection.execute(MOVE_SYMBOLS, values).all())

    def reset(self) -> int:
        """Start every partition from its log's beginning, whoever holds it; how many there are.

        The symbols keep their state: a tick that was judged before is stale, and fires nothing again.
        """
        return len(self._connection.execute(RESET).all())


def _symbol(row: Row[tuple[object, ...]]) -> SymbolCheckpoint:
    last_ts_us = (row.last_ts - EPOCH) // timedelta(microseconds=1)
    last_arrived_ms = epoch_ms(row.last_arrived_at)
    stairs = {
        Direction(direction): tuple((number, price) for number, price in steps)
        for direction, steps in row.stairs.items()
    }
    state = SymbolState(to_units(row.last_price), last_ts_us, row.last_seq, last_arrived_ms, row.ticks, stairs)
    return SymbolCheckpoint(row.symbol, row.partition, state)
