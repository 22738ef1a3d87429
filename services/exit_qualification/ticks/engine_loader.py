"""The engine as the database knows it: rebuilt whenever partitions are taken up."""

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
    """An engine with the symbols and open trades of these partitions.

    Every reason of a trade that ever exited is disarmed, the blocked ones that left no row too, and so is what the
    last price meets already. Rearming right after finds what is due among them, so that nothing waits for a tick of
    a symbol that does not trade.
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
