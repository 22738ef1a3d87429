"""Checkpoints of tick partitions: offsets, ownership, and the engine's state at these offsets."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, text

from services.exit_qualification.domain.checkpoint import Checkpoint, SymbolCheckpoint
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.contracts.vocabulary import Direction
from shared.errors import Fenced
from shared.instants import EPOCH, epoch_ms
from shared.money import SCALE, to_units
from shared.postgres.hot_path import Answer, ask, send
from shared.tick_clock import ON_TIME, Lateness

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
-- tick_checkpoints.advance: a partition missing from the result was taken over
WITH held AS MATERIALIZED (
  SELECT t.partition, mine.tick_offset, mine.trade_offset
    FROM tick_partitions t
    JOIN unnest(CAST(:partitions AS integer[]), CAST(:epochs AS bigint[]), CAST(:tick_offsets AS bigint[]),
                CAST(:trade_offsets AS bigint[])) AS mine (partition, epoch, tick_offset, trade_offset)
      ON mine.partition = t.partition AND mine.epoch = t.epoch
   ORDER BY t.partition
     FOR UPDATE OF t)
UPDATE tick_partitions t
   SET tick_offset = held.tick_offset, trade_offset = held.trade_offset, updated_at = clock_timestamp()
  FROM held
 WHERE t.partition = held.partition
RETURNING t.partition
""")
SAVE_SYMBOLS = text(f"""
-- tick_checkpoints.save_symbols: prices in units, times in micro- and milliseconds since 1970
INSERT INTO tick_symbols AS s (symbol, partition, last_price, last_ts, last_seq, last_arrived_at, ticks, stairs,
                               late, tick_offset)
SELECT symbol, partition, CAST(price AS numeric) / {SCALE}, 'epoch'::timestamptz + ts_us * interval '1 microsecond',
       seq, 'epoch'::timestamptz + arrived_ms * interval '1 millisecond', ticks, CAST(stairs AS jsonb),
       CAST(late AS jsonb), tick_offset
  FROM unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[]), CAST(:prices AS bigint[]),
              CAST(:times_us AS bigint[]), CAST(:seqs AS bigint[]), CAST(:arrived_ms AS bigint[]),
              CAST(:ticks AS bigint[]), CAST(:stairs AS text[]), CAST(:late AS text[]),
              CAST(:tick_offsets AS bigint[]))
         AS i (symbol, partition, price, ts_us, seq, arrived_ms, ticks, stairs, late, tick_offset)
ON CONFLICT (symbol) DO UPDATE
   SET partition = EXCLUDED.partition, last_price = EXCLUDED.last_price, last_ts = EXCLUDED.last_ts,
       last_seq = EXCLUDED.last_seq, last_arrived_at = EXCLUDED.last_arrived_at,
       ticks = EXCLUDED.ticks, stairs = EXCLUDED.stairs, late = EXCLUDED.late, tick_offset = EXCLUDED.tick_offset,
       updated_at = clock_timestamp()
""")  # noqa: S608  # a number of our own
STORED_SYMBOLS = """
-- tick_checkpoints.symbols: no tick was stamped or arrived after its state was stored, whatever a clock said
SELECT symbol, partition, last_price, least(last_ts, updated_at) AS last_ts, last_seq,
       least(last_arrived_at, updated_at) AS last_arrived_at, ticks, stairs, late, tick_offset, updated_at
  FROM tick_symbols
"""
SYMBOLS = text(STORED_SYMBOLS + " WHERE partition = ANY (:partitions)")
NAMED = text(STORED_SYMBOLS + " WHERE symbol = ANY (CAST(:symbols AS text[]))")
FREE_SYMBOLS = text("""
-- tick_checkpoints.free_symbols
SELECT symbol FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[])) ORDER BY symbol FOR UPDATE SKIP LOCKED
""")
KNOWN_SYMBOLS = text("""
-- tick_checkpoints.known_symbols
SELECT symbol FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[]))
""")
RESET = text("""
-- tick_checkpoints.reset: the epochs go on: a worker still at work is fenced
WITH locked AS (SELECT partition FROM tick_partitions ORDER BY partition FOR UPDATE)
UPDATE tick_partitions t
   SET tick_offset = 0, trade_offset = 0, epoch = t.epoch + 1, owner = NULL, updated_at = clock_timestamp()
  FROM locked WHERE locked.partition = t.partition
RETURNING t.partition
""")
FORGET_OFFSETS = text("""
-- tick_checkpoints.forget_offsets: the owner of its partition alone writes a symbol, and the partitions are locked
UPDATE tick_symbols SET tick_offset = 0 WHERE partition = ANY (CAST(:partitions AS integer[])) AND tick_offset > 0
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
-- tick_checkpoints.move_symbols: offsets of another partition say nothing on the new one
UPDATE tick_symbols s SET partition = home.partition, tick_offset = 0, updated_at = clock_timestamp()
  FROM unnest(CAST(:symbols AS text[]), CAST(:partitions AS integer[])) AS home (symbol, partition)
 WHERE home.symbol = s.symbol
RETURNING s.symbol
""")


class TickCheckpointRepository:
    """Checkpoints within one transaction. Rows are always locked in order of their partition."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, partitions: Sequence[int], owner: str) -> dict[int, Checkpoint]:
        """Claim the partitions; a partition without an earlier owner starts at offset 0, the earliest."""
        rows = self._connection.execute(CLAIM, {"partitions": sorted(partitions), "owner": owner})
        return {row.partition: Checkpoint(row.epoch, row.tick_offset, row.trade_offset) for row in rows}

    def hold(self, checkpoints: Mapping[int, Checkpoint]) -> Answer[None]:
        """Prevent a takeover of the partitions until the transaction ends.

        The answer raises `Fenced` if a partition was already taken over: get it before the commit.
        """
        partitions = sorted(checkpoints)
        epochs = [checkpoints[partition].epoch for partition in partitions]
        wanted = {"partitions": partitions, "epochs": epochs}
        return ask(self._connection, HOLD, wanted, lambda rows: _require_all(partitions, rows))

    def advance(self, checkpoints: Mapping[int, Checkpoint]) -> Answer[None]:
        """Move the offsets of owned partitions.

        The answer raises `Fenced` if a partition was taken over: get it before the commit.
        """
        partitions = sorted(checkpoints)
        parameters = {
            "partitions": partitions,
            "epochs": [checkpoints[partition].epoch for partition in partitions],
            "tick_offsets": [checkpoints[partition].tick_offset for partition in partitions],
            "trade_offsets": [checkpoints[partition].trade_offset for partition in partitions],
        }
        return ask(self._connection, ADVANCE, parameters, lambda rows: _require_all(partitions, rows))

    def save_symbols(self, symbols: Sequence[SymbolCheckpoint]) -> None:
        """Store the state of these symbols."""
        if not symbols:
            return
        rows = [(each.symbol, each.partition, *_values_of(each.state), each.tick_offset) for each in symbols]
        columns = zip(*rows, strict=True)
        send(self._connection, SAVE_SYMBOLS, dict(zip(_SYMBOL_COLUMNS, map(list, columns), strict=True)))

    def symbols_held_by_others(self, symbols: Sequence[str]) -> set[str]:
        """Lock the free symbols, and return those with rows held by another transaction."""
        wanted = {"symbols": sorted(symbols)}
        free = set(self._connection.execute(FREE_SYMBOLS, wanted).scalars())
        return set(self._connection.execute(KNOWN_SYMBOLS, wanted).scalars()) - free

    def symbols(self, partitions: Sequence[int]) -> list[SymbolCheckpoint]:
        """Return the state of every symbol of these partitions."""
        return [_symbol(*row) for row in self._connection.execute(SYMBOLS, {"partitions": list(partitions)})]

    def symbol(self, symbol: str) -> SymbolCheckpoint | None:
        """Return the state of one symbol; None before its first checkpoint."""
        return self.named([symbol]).get(symbol)

    def named(self, symbols: Collection[str]) -> dict[str, SymbolCheckpoint]:
        """Return the states of these symbols; leave out those without a checkpoint."""
        return self.ask_named(symbols).get()

    def ask_named(self, symbols: Collection[str]) -> Answer[dict[str, SymbolCheckpoint]]:
        """Ask for the result of `named`."""
        wanted = {"symbols": sorted(symbols)}
        return ask(self._connection, NAMED, wanted, lambda rows: {row[0]: _symbol(*row) for row in rows})

    def stored(self) -> dict[int, Checkpoint]:
        """Return the checkpoint of every partition with any owner."""
        rows = self._connection.execute(STORED)
        return {row.partition: Checkpoint(row.epoch, row.tick_offset, row.trade_offset) for row in rows}

    def fence_others(self, partitions: Collection[int], held: Collection[int]) -> None:
        """Make the owners of these partitions reload them, except those `held` by the caller.

        The caller's partitions are locked too: workers fencing each other do not deadlock.
        """
        others = sorted(set(partitions) - set(held))
        if others:
            self._connection.execute(LOCK, {"partitions": sorted({*others, *held})})
            self._connection.execute(FENCE, {"partitions": others})

    def lock_all(self) -> None:
        """Prevent writes and takeovers of all partitions until the transaction ends."""
        self._connection.execute(LOCK_ALL)

    def fence_all(self) -> None:
        """Make every worker reload its partitions."""
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
        """Reset every partition to the beginning of its log; return the number of partitions.

        The symbols keep their state: a tick evaluated before is stale and fires nothing again.
        """
        partitions = list(self._connection.execute(RESET).scalars())
        self._connection.execute(FORGET_OFFSETS, {"partitions": partitions})
        return len(partitions)


def _require_all(partitions: Sequence[int], held: Sequence[tuple[int]]) -> None:
    if lost := sorted(set(partitions) - {partition for (partition,) in held}):
        raise Fenced(f"partitions {lost} were taken over by another worker", partitions=lost)


_SYMBOL_COLUMNS = (
    "symbols", "partitions", "prices", "times_us", "seqs", "arrived_ms", "ticks", "stairs", "late", "tick_offsets",
)  # fmt: skip


def _values_of(state: SymbolState) -> tuple[int, int, int, int, int, str, str]:
    """Return the columns of a state; most have no stairs and are on time."""
    stairs = json.dumps(state.stairs) if state.stairs else "{}"
    late = "null" if state.late is ON_TIME else json.dumps(state.late)
    return state.last_price, state.last_ts_us, state.last_seq, state.last_arrived_ms, state.ticks, stairs, late


def _symbol(
    symbol: str,
    partition: int,
    last_price: Decimal,
    last_ts: datetime,
    last_seq: int,
    last_arrived_at: datetime,
    ticks: int,
    stairs: Mapping[str, list[tuple[int, int]]],
    late: list[int] | None,
    tick_offset: int,
    updated_at: datetime,
) -> SymbolCheckpoint:
    """Return the state in the columns of `STORED_SYMBOLS`."""
    state = SymbolState(
        to_units(last_price),
        (last_ts - EPOCH) // timedelta(microseconds=1),
        last_seq,
        epoch_ms(last_arrived_at),
        ticks,
        {
            Direction(direction): tuple((number, price) for number, price in steps)
            for direction, steps in stairs.items()
        },
        _late(late, epoch_ms(updated_at)),
    )
    return SymbolCheckpoint(symbol, partition, state, tick_offset)


def _late(stored: list[int] | None, updated_ms: int) -> Lateness:
    if stored is None:
        return ON_TIME
    stale_since_ms, rising_since_ms, highest_seq, is_told = stored
    return Lateness(min(stale_since_ms, updated_ms), min(rising_since_ms, updated_ms), highest_seq, bool(is_told))
