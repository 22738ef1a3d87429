"""Only the last claimer of a partition can write for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint
from services.exit_qualification.storage.open_trades import OpenedTrade
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.process import build_worker, open_database
from shared.errors import Fenced
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import Book, Market, running_worker, worker_process
from tests.support.trades import opened
from tests.support.waiting import wait_until

SYMBOLS = [f"NSE:S{number}" for number in range(30)]


def test_a_claim_raises_the_epoch_and_keeps_the_offsets(book: Book) -> None:
    with book.engine.begin() as connection:
        checkpoints = TickCheckpointRepository(connection)
        [first] = checkpoints.claim([3], "one").values()
        checkpoints.advance({3: Checkpoint(first.epoch, 7, 5)}).get()
        [second] = checkpoints.claim([3], "two").values()
    assert (first, second) == (Checkpoint(1, 0, 0), Checkpoint(2, 7, 5))


def test_a_fenced_worker_writes_nothing(settings: Settings, book: Book) -> None:
    with book.engine.begin() as connection:
        held = TickCheckpointRepository(connection).claim([0], "zombie")
        TickCheckpointRepository(connection).claim([0], "successor")
    pipeline = _pipeline(settings)
    event = opened()
    with pytest.raises(Fenced, match="taken over"):
        ahead = EngineCheckpoint({0: Checkpoint(held[0].epoch, 9, 9)})
        pipeline.write(BatchResult(opened=[OpenedTrade(event, 0, 0)]), ahead, {0})
    assert book.value("SELECT count(*) FROM open_trades") == 0
    assert book.tick_offset(0) == 0


def test_a_fenced_worker_rejoins_and_exits_each_trade_once(settings: Settings, market: Market, book: Book) -> None:
    market.open(opened())
    with running_worker(settings):
        book.await_trades(1)
        with book.engine.begin() as connection:
            TickCheckpointRepository(connection).claim([market.partition()], "another")
        market.tick("1010.00")
        book.await_exits(1)
        market.tick("1011.00")
        book.await_tick(market.partition(), 2)
    assert len(book.signals()) == len(book.intents()) == 1


def test_joining_and_leaving_workers_exit_every_trade_once(settings: Settings, market: Market, book: Book) -> None:
    trades = [opened(symbol=symbol) for symbol in SYMBOLS]
    market.open(*trades)
    with running_worker(settings):
        book.await_trades(len(trades))
        _tick_each(market, SYMBOLS[:10])
        with running_worker(settings, ready=False) as second:
            _tick_each(market, SYMBOLS[10:20])
            second.await_ready()
            wait_until(lambda: _owned_epochs(book) > 1, "both workers hold partitions")
            _tick_each(market, SYMBOLS)
        _tick_each(market, SYMBOLS[20:])
        book.await_exits(len(trades))
    assert sorted(row.trade_id for row in book.signals()) == sorted(event.trade_id for event in trades)
    assert len(book.intents()) == len(trades)


def test_a_frozen_worker_changes_nothing_after_losing_its_partitions(
    settings: Settings, market: Market, book: Book, tmp_path: Path
) -> None:
    market.open(opened(), opened(symbol="NSE:TCS"))
    with worker_process(settings, tmp_path / "log") as frozen:
        book.await_trades(2)
        os.kill(frozen.pid, signal.SIGSTOP)
        market.tick("1010.00")
        with running_worker(settings):
            book.await_exits(1)
            os.kill(frozen.pid, signal.SIGCONT)
            market.tick("1010.00")
            market.tick("1010.00", "NSE:TCS")
            book.await_exits(2)
            book.await_tick(market.partition(), 2)
        assert frozen.poll() is None, (tmp_path / "log").read_text()
    assert len(book.signals()) == len(book.intents()) == 2


def _tick_each(market: Market, symbols: list[str]) -> None:
    for symbol in symbols:
        market.tick("1010.00", symbol)


def _owned_epochs(book: Book) -> int:
    """The largest number of claims of one partition."""
    epoch: int = book.value("SELECT max(epoch) FROM tick_partitions")
    return epoch


def _pipeline(settings: Settings) -> TickPipeline:
    worker = build_worker(settings, Health(), open_database(settings))
    return worker._context.pipeline
