"""The state of a symbol comes back from the database as it was stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.exit_qualification.domain.checkpoint import SymbolCheckpoint
from services.exit_qualification.domain.symbol_book import SymbolState
from services.exit_qualification.storage.tick_checkpoints import TickCheckpointRepository
from shared.contracts.vocabulary import Direction
from shared.tick_clock import ON_TIME, Lateness
from tests.integration.exit_qualification.ticks.worker_harness import INFY, Book

AT_MS = 1_768_275_900_000
STATE = SymbolState(1010_0000, AT_MS * 1000 + 7, 3, AT_MS, 12, {Direction.LONG: ((9, 1015_0000), (12, 1010_0000))})
FUTURE_MS = 4_000_000_000_000


@pytest.mark.parametrize("late", [ON_TIME, Lateness(AT_MS + 5, AT_MS + 6, 9, True), Lateness(AT_MS + 5, 0, 3, False)])
def test_a_state_comes_back(book: Book, late: Lateness) -> None:
    state = replace(STATE, late=late)
    with book.engine.begin() as connection:
        repository = TickCheckpointRepository(connection)
        repository.save_symbols([SymbolCheckpoint(INFY, 0, replace(STATE, late=Lateness(1, 1, 1, False)))])
        repository.save_symbols([SymbolCheckpoint(INFY, 0, state)])
        assert repository.symbol(INFY) == SymbolCheckpoint(INFY, 0, state)


def test_no_stale_tick_arrived_after_its_state_was_stored(book: Book) -> None:
    state = replace(STATE, late=Lateness(FUTURE_MS, FUTURE_MS, 9, False))
    with book.engine.begin() as connection:
        TickCheckpointRepository(connection).save_symbols([SymbolCheckpoint(INFY, 0, state)])
    with book.engine.begin() as connection:
        found = TickCheckpointRepository(connection).symbol(INFY)
    assert found is not None
    assert max(found.state.late.stale_since_ms, found.state.late.rising_since_ms) < FUTURE_MS
