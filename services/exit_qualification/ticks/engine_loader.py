"""Loading of the engine from the database, after partitions are claimed."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from services.exit_qualification.domain.checkpoint import Checkpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_hours import hours_of
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.square_off import NEVER, SquareOff
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.vocabulary import ExitReason

log = logging.getLogger(__name__)

TRADES_PER_REPORT = 10_000
TRADES_PER_LINE = 100_000


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """Engine as the database knows it.

    Attributes
    ----------
    symbols_ahead:
        Next tick offset of each symbol with a state ahead of its partition's offset.
    """

    engine: ExitSignalService
    symbols_ahead: Mapping[str, int]


def load_engine(
    connection: Connection,
    claimed: Mapping[int, Checkpoint],
    new_clock_after_ms: int,
    square_off: SquareOff = NEVER,
    report: Callable[[int], None] = lambda _: None,
) -> LoadedEngine:
    """Return an engine with the symbols and open trades of these partitions; `watch_loaded` makes it evaluate them.

    Reasons are disarmed for every trade with a past exit, including blocked ones without a row, and where the last
    price already meets them. Rearming right afterwards finds the due ones, so exits do not wait for a tick of a quiet
    symbol.

    Parameters
    ----------
    report:
        Called with the number of trades loaded so far, every `TRADES_PER_REPORT` trades; its error ends the load.
    """
    partitions, ahead = sorted(claimed), {}
    engine = ExitSignalService(new_clock_after_ms, hours_of(square_off.calendars))
    for symbol in TickCheckpointRepository(connection).symbols(partitions):
        engine.books.restore(symbol.symbol, symbol.state)
        if symbol.tick_offset > claimed[symbol.partition].tick_offset:
            ahead[symbol.symbol] = symbol.tick_offset
    engine.load(_counted(OpenTradeRepository(connection, square_off).open_in(partitions), report))
    for trade_id in ExitEpisodeRepository(connection).open_trades_with_episodes(partitions):
        engine.disarm(trade_id, ExitReason.MANUAL)
    return LoadedEngine(engine, ahead)


def _counted(trades: Iterable[OpenTrade], report: Callable[[int], None]) -> Iterator[OpenTrade]:
    for count, trade in enumerate(trades, 1):
        yield trade
        if count % TRADES_PER_REPORT == 0:
            report(count)
        if count % TRADES_PER_LINE == 0:
            log.info("loaded %d open trades", count)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from looking at an engine: while it is made, and as long as it lives."""
    gc.unfreeze()  # of an engine loaded before
    gc.collect()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
