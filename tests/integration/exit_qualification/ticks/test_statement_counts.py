"""How many statements a worker's transaction takes: as many for one symbol or exit as for many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint, SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.domain.open_trade import entered
from services.exit_qualification.domain.planned_trade import with_plan
from services.exit_qualification.domain.square_off import NEVER
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.signal_management_service import PART as EXITS_AT_ONCE
from services.exit_qualification.storage.open_trades import OpenedTrade, OpenTradeRepository
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.process import build_worker, open_database
from shared.outbox.writing import PART as EVENTS_AT_ONCE
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book
from tests.support.statements import sent_statements, waits
from tests.support.trades import opened

MOST_WAITS = 3
"""Times at which a transaction with exits waits for the server, with its commit."""

MOST_OF_EXITS = 10
"""Statements of a transaction with exits: its offsets, locks, facts, rows and events."""

MOST_OF_CLOSURES = 4
"""Statements of a transaction that follows closed trades."""

STATE = SymbolState(1010_0000, 1_768_275_900_000_000, 1, 1_768_275_900_000, 1)


@pytest.fixture
def worker_database(settings: Settings) -> Iterator[Engine]:
    """The database as the worker opens it."""
    engine = open_database(settings)
    engine.connect().close()  # the library's questions to a new server count for nothing
    yield engine
    engine.dispose()


@pytest.fixture
def pipeline(settings: Settings, worker_database: Engine) -> TickPipeline:
    """A worker's pipeline."""
    return build_worker(settings, Health(), worker_database)._context.pipeline


def claim(book: Book) -> dict[int, Checkpoint]:
    """A worker's claim of partition 0."""
    with book.engine.begin() as connection:
        return TickCheckpointRepository(connection).claim([0], "worker")


def burst(book: Book, trades: int) -> BatchResult:
    """The exits of one tick at the target of so many trades."""
    events = sorted((opened() for _ in range(trades)), key=lambda each: each.trade_id)
    with book.engine.begin() as connection:
        OpenTradeRepository(connection).insert_opened([OpenedTrade(each, 0, 0) for each in events])
    engine = ExitSignalService()
    for each in events:
        engine.add_trade(with_plan(entered(each), each.exit_plan, 1, NEVER))
    return BatchResult(detected=list(engine.on_tick(INFY, 1010_0000, STATE.last_ts_us, 1).candidates))


def test_checkpoint_statement_count_is_equal_for_one_or_many_symbols(book: Book, pipeline: TickPipeline) -> None:
    held = claim(book)
    taken = []
    for count in (1, 300):
        symbols = [SymbolCheckpoint(f"NSE:S{number:03}", 0, STATE) for number in range(count)]
        with sent_statements() as statements:
            pipeline.write(BatchResult(), EngineCheckpoint(held, symbols), held)
        taken.append(len(statements))
    assert taken[0] == taken[1] <= 4
    assert book.value("SELECT count(*) FROM tick_symbols") == 300


def more_parts(exits: int) -> int:
    """The statements for the further parts of so many exits: of rows and of events."""
    return (exits - 1) // EXITS_AT_ONCE + (2 * exits - 1) // EVENTS_AT_ONCE


def test_burst_transaction_takes_hardly_more_statements_than_one_exit(book: Book, pipeline: TickPipeline) -> None:
    held = claim(book)
    taken = []
    for count in (1, 200):
        result = burst(book, count)
        with sent_statements() as statements:
            assert len(pipeline.write(result, EngineCheckpoint(held), held).exits) == count
        taken.append(len(statements) - more_parts(count))
    assert taken[0] == taken[1] <= MOST_OF_EXITS, statements


def test_transaction_with_exits_waits_equally_rarely_for_burst_and_one(book: Book, pipeline: TickPipeline) -> None:
    held = claim(book)
    for count in (1, 200):
        symbols = [SymbolCheckpoint(f"NSE:S{number:03}", 0, STATE) for number in range(20)]
        result = burst(book, count)
        with waits() as waited:
            assert len(pipeline.write(result, EngineCheckpoint(held, symbols), held).exits) == count
        assert len(waited) <= MOST_WAITS, waited


def test_closures_take_as_many_statements_as_one(book: Book, pipeline: TickPipeline) -> None:
    held = claim(book)
    for count in (1, 50):
        events = [opened() for _ in range(count)]
        with book.engine.begin() as connection:
            OpenTradeRepository(connection).insert_opened([OpenedTrade(each, 0, 0) for each in events])
        with sent_statements() as statements:
            pipeline.write(BatchResult(closed=[each.trade_id for each in events]), EngineCheckpoint(held), held)
        # offsets, the trades' locks, their closing, their rules
        assert len(statements) == MOST_OF_CLOSURES, statements
    assert book.value("SELECT count(*) FROM open_trades WHERE status = 'OPEN'") == 0


ROW_TRIGGERS = """
SELECT tgname FROM pg_trigger
 WHERE tgrelid = 'exit_intents'::regclass AND NOT tgisinternal AND tgtype & 5 = 5 AND tgqual IS NULL
"""
"""Triggers of each inserted row without a condition."""


def test_no_function_is_called_for_each_new_exit(book: Book) -> None:
    assert book.rows(ROW_TRIGGERS) == []
