"""A burst is written in bounded transactions: the queue costs a row a chunk, and nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.storage import queued_exits
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_history import ExitHistoryRepository
from services.exit_qualification.storage.waiting_trades import MOST_TRADES
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.pipeline import TickPipeline
from services.exit_qualification.ticks.process import build_worker, open_database
from services.exit_qualification.ticks.rehoming import move_symbols
from shared.contracts.vocabulary import ExitReason
from shared.kafka.clients import home_partition
from shared.runtime.health import Health
from shared.settings import Settings
from tests.integration.exit_qualification.ticks.test_statement_counts import burst, claim, more_parts
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.statements import sent_statements, waits

MOST_OF_A_CHUNK = 11
"""Statements of a transaction that writes a queued chunk: its fence, locks, facts, rows, events."""


@pytest.fixture
def worker_database(settings: Settings) -> Iterator[Engine]:
    """The database as the worker opens it."""
    engine = open_database(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def pipeline(settings: Settings, worker_database: Engine) -> TickPipeline:
    """A worker's pipeline."""
    return worker(settings, worker_database)


def worker(settings: Settings, database: Engine) -> TickPipeline:
    """Return the pipeline of one more worker."""
    return build_worker(settings, Health(), database)._context.pipeline


def write_first(book: Book, pipeline: TickPipeline, trades: int) -> BatchResult:
    """Write the first exits of a burst of so many trades; the others are queued."""
    held = claim(book)
    result = burst(book, trades)
    first = pipeline.write(result, EngineCheckpoint({0: Checkpoint(held[0].epoch, 1, 0)}), held).exits
    assert len(first) == MOST_TRADES
    assert (pipeline.has_queued, book.tick_offset(0)) == (True, 1)  # the offset passes: the rest is stored
    return result


def write_rest(book: Book, pipeline: TickPipeline) -> list[int]:
    """Write the whole queue; return how many exits each transaction wrote."""
    held, written = claim(book), []
    while pipeline.has_queued:
        written.append(len(pipeline.write_queued(held)))
    return written


def exited(book: Book) -> list[object]:
    """The trades with an intent."""
    return sorted(row.trade_id for row in book.intents())


def of_burst(result: BatchResult) -> list[object]:
    return [entry.trade.trade_id for entry in result.detected]


def test_burst_is_written_in_bounded_transactions_and_any_worker_resumes(
    settings: Settings, book: Book, worker_database: Engine, pipeline: TickPipeline
) -> None:
    result = write_first(book, pipeline, 2 * MOST_TRADES + 3)
    assert book.value("SELECT count(*) FROM queued_exits") == 2  # a row a chunk, not a row an exit
    assert write_rest(book, worker(settings, worker_database)) == [MOST_TRADES, 3, 0]
    assert exited(book) == of_burst(result)
    assert book.rows("SELECT FROM queued_exits") == []


def test_chunk_statement_count_is_independent_of_queued_exits(book: Book, pipeline: TickPipeline) -> None:
    write_first(book, pipeline, 2 * MOST_TRADES + 3)
    held = claim(book)
    taken: list[int] = []
    for exits in (MOST_TRADES, 3):
        with sent_statements() as statements:
            pipeline.write_queued(held)
        taken.append(len(statements) - more_parts(exits))
    assert taken[0] == taken[1] <= MOST_OF_A_CHUNK, statements


def test_queued_chunk_waits_four_times_for_the_server(book: Book, pipeline: TickPipeline) -> None:
    write_first(book, pipeline, MOST_TRADES + 3)
    held = claim(book)
    with waits() as waited:
        assert len(pipeline.write_queued(held)) == 3
    assert len(waited) == 4, waited


def test_chunk_above_current_transaction_limit_is_taken_whole(
    book: Book, pipeline: TickPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_first(book, pipeline, MOST_TRADES + 3)
    monkeypatch.setattr(queued_exits, "MOST_TRADES", 2)
    assert write_rest(book, pipeline) == [3, 0]


@pytest.mark.parametrize(
    "row",
    [
        "SELECT 1 FROM open_trades WHERE trade_id = '{trade_id}'",
        "SELECT 1 FROM outbox_sequence WHERE key = '{trade_id}'",
    ],
)
def test_held_row_of_queued_trade_blocks_no_other_trade(
    row: str, database: Database, book: Book, pipeline: TickPipeline
) -> None:
    result = write_first(book, pipeline, MOST_TRADES + 3)
    stuck = of_burst(result)[-1]
    book.execute("INSERT INTO outbox_sequence (topic, key, last) SELECT topic, :id, 1 FROM outbox_sequence LIMIT 1",
                 id=str(stuck))  # fmt: skip
    with held_row(database.admin_url, "exit_qualification", row.format(trade_id=stuck)):
        write_rest(book, pipeline)
        pipeline.write_waiting(claim(book))
        assert exited(book) == [each for each in of_burst(result) if each != stuck]
    book.execute("UPDATE waiting_trades SET retry_at = clock_timestamp()")
    pipeline.write_waiting(claim(book))
    assert exited(book) == of_burst(result)


def test_a_queued_exit_is_not_detected_again_and_is_explained(book: Book, pipeline: TickPipeline) -> None:
    queued = of_burst(write_first(book, pipeline, MOST_TRADES + 1))[-1]
    keys = [RuleKey(queued, reason) for reason in (ExitReason.TARGET, ExitReason.STOP_LOSS)]  # type: ignore[arg-type]
    with book.engine.connect() as connection:
        assert ExitEpisodeRepository(connection).eligible(keys) == []
        [waiting] = ExitHistoryRepository(connection).ask_waiting(keys[0].trade_id).get()
    assert (waiting.work, waiting.why) == ("TARGET", "queued behind other exits of the same ticks")


def test_queued_exits_move_with_their_symbol(book: Book, pipeline: TickPipeline) -> None:
    write_first(book, pipeline, MOST_TRADES + 1)
    with book.engine.begin() as connection:
        move_symbols(connection, 7)
    assert home_partition(INFY, 7) != 0
    assert book.value("SELECT partition FROM queued_exits") == home_partition(INFY, 7)
