"""An exit whose slot was taken meanwhile: other exits of its transaction are written."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import pytest

from services.exit_qualification.domain.checkpoint import EngineCheckpoint
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.ticks.batch import BatchResult
from services.exit_qualification.ticks.pipeline import TickPipeline
from shared.postgres.hot_path import Answer
from tests.integration.exit_qualification.ticks.test_statement_counts import burst, claim, pipeline, worker_database
from tests.integration.exit_qualification.ticks.worker_harness import Book

__all__ = ["pipeline", "worker_database"]


def hide_next_holders(monkeypatch: pytest.MonkeyPatch) -> list[Collection[UUID]]:
    """Let the next question for the holders of slots find none, as if they came right after it; return all asked."""
    asked: list[Collection[UUID]] = []
    ask = ExitIntentRepository.ask_slot_holders

    def hiding(repository: ExitIntentRepository, trade_ids: Collection[UUID]) -> Answer[list[ExitIntent]]:
        asked.append(trade_ids)
        return ask(repository, () if len(asked) == 1 else trade_ids)

    monkeypatch.setattr(ExitIntentRepository, "ask_slot_holders", hiding)
    return asked


def exits(book: Book) -> list[tuple[object, ...]]:
    return book.rows(
        "SELECT i.trade_id, count(*), count(e.id) FROM exit_intents i"
        " LEFT JOIN outbox_event e ON e.ce_subject = i.intent_id::text GROUP BY i.trade_id"
    )


def test_a_slot_taken_meanwhile_holds_up_its_own_trade_alone(
    book: Book, pipeline: TickPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, first, second = claim(book), burst(book, 1), burst(book, 1)
    [holder] = pipeline.write(first, EngineCheckpoint(held), held).exits
    with book.engine.begin() as connection:
        ExitEpisodeRepository(connection).release([holder.intent.rule_key])
    asked = hide_next_holders(monkeypatch)
    both = BatchResult(detected=[*first.detected, *second.detected])
    written = pipeline.write(both, EngineCheckpoint(held), held).exits
    assert len(asked) > 1, "the first transaction failed"
    assert [each.signal.trade_id for each in written] == [each.trade.trade_id for each in second.detected]
    assert sorted(exits(book), key=str) == sorted(
        [(each.trade.trade_id, 1, 1) for each in (*first.detected, *second.detected)], key=str
    )
    assert book.rows("SELECT FROM waiting_trades") == []
