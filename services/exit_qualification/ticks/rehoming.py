"""Rehoming: moves open trades and symbols to their new partitions after both topics grew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.queued_exits import QueuedExitRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.kafka.clients import home_partition


@dataclass(frozen=True, slots=True)
class Rehoming:
    """Result of a rehoming or its dry run."""

    partitions: int
    symbols: int
    trades: int


def move_symbols(connection: Connection, partitions: int) -> Rehoming:
    """Move symbols and trades to their home under this number of partitions, and fence every worker.

    Runs in the caller's transaction. Records of trades on the earlier partition are read from there.
    """
    checkpoints, trades = TickCheckpointRepository(connection), OpenTradeRepository(connection)
    queued = QueuedExitRepository(connection)
    checkpoints.lock_all()
    moved_trades = trades.move(_to_move(trades.symbols_open(), partitions))
    moved_symbols = checkpoints.move_symbols(_to_move(checkpoints.symbol_partitions(), partitions))
    queued.move(_to_move(queued.symbol_partitions(), partitions))
    checkpoints.fence_all()
    return Rehoming(partitions, moved_symbols, moved_trades)


def _to_move(placed: Iterable[tuple[str, int]], partitions: int) -> dict[str, int]:
    homes = {symbol: home_partition(symbol, partitions) for symbol, _ in placed}
    return {symbol: homes[symbol] for symbol, partition in placed if homes[symbol] != partition}
