"""Rehoming: after both topics were given more partitions, open trades and symbols move to the ones they belong on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.kafka.clients import home_partition


@dataclass(frozen=True, slots=True)
class Rehoming:
    """What moves, or would move.

    Attributes
    ----------
    partitions:
        Of each topic, now.
    symbols:
        Symbols whose state moves.
    trades:
        Open trades that move.
    """

    partitions: int
    symbols: int
    trades: int


def move_symbols(connection: Connection, partitions: int) -> Rehoming:
    """Move what is not at home under this number of partitions, and fence every worker; in the caller's transaction.

    Records of trades that were put on the partition of before are taken from there as they are read.
    """
    checkpoints, trades = TickCheckpointRepository(connection), OpenTradeRepository(connection)
    checkpoints.lock_all()
    moved_trades = trades.move(_to_move(trades.symbols_open(), partitions))
    moved_symbols = checkpoints.move_symbols(_to_move(checkpoints.symbol_partitions(), partitions))
    checkpoints.fence_all()
    return Rehoming(partitions, moved_symbols, moved_trades)


def _to_move(placed: Iterable[tuple[str, int]], partitions: int) -> dict[str, int]:
    homes = {symbol: home_partition(symbol, partitions) for symbol, _ in placed}
    return {symbol: homes[symbol] for symbol, partition in placed if homes[symbol] != partition}
