"""The engine as the database knows it: rebuilt whenever partitions are taken up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import Layout
from services.exit_qualification.ticks.records import home_partition
from shared.contracts.vocabulary import ExitReason
from shared.errors import ConfigurationError


def load_engine(connection: Connection, partitions: Sequence[int], layout: Layout) -> ExitSignalService:
    """An engine with the symbols and open trades of these partitions.

    Every reason of a trade that ever exited is disarmed, the blocked ones that left no row too, and so is what the
    last price meets already. Rearming right after finds what is due among them, so that nothing waits for a tick of
    a symbol that does not trade.

    Raises
    ------
    ConfigurationError
        A trade was projected when the topics had another number of partitions.
    """
    engine = ExitSignalService()
    for symbol in TickCheckpointRepository(connection).symbols(partitions):
        engine.restore_symbol(symbol.symbol, symbol.state)
    open_trades = OpenTradeRepository(connection)
    _require_same_layout(open_trades.symbols_in(partitions), layout)
    for trade in open_trades.open_in(partitions):
        engine.add_trade(trade)
    for trade_id in ExitEpisodeRepository(connection).open_trades_with_episodes(partitions):
        engine.disarm(trade_id, ExitReason.MANUAL)
    return engine


def _require_same_layout(symbols: Iterable[tuple[str, int]], layout: Layout) -> None:
    for symbol, partition in symbols:
        home = home_partition(symbol, layout.partitions)
        if home != partition:
            raise ConfigurationError(
                f"open trades on {symbol} were projected on partition {partition}, and with the {layout.partitions} "
                f"partitions there are now it belongs on {home}: their number cannot change under open trades"
            )
