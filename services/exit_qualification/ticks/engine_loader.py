"""Loading of the engine from the database, after partitions are claimed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.vocabulary import ExitReason


def load_engine(
    connection: Connection, partitions: Sequence[int], new_clock_after_ms: int, square_off: SquareOff = NEVER
) -> ExitSignalService:
    """Return an engine with the symbols and open trades of these partitions.

    Reasons are disarmed for every trade that ever exited, including blocked ones without a row, and where the last
    price
    already meets them. Rearming right afterwards finds the due ones, so exits do not wait for a tick of a symbol that
    does not trade.
    """
    engine = ExitSignalService(new_clock_after_ms)
    for symbol in TickCheckpointRepository(connection).symbols(partitions):
        engine.restore_symbol(symbol.symbol, symbol.state)
    open_trades = OpenTradeRepository(connection, square_off)
    for trade in open_trades.open_in(partitions):
        engine.add_trade(trade)
    for trade_id in ExitEpisodeRepository(connection).open_trades_with_episodes(partitions):
        engine.disarm(trade_id, ExitReason.MANUAL)
    return engine
