"""Checkpoint: how far a partition is judged."""

from __future__ import annotations

from dataclasses import dataclass

from services.exit_qualification.domain.symbol_book import SymbolState


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The next offsets of a partition of both topics, and the epoch under which they may be moved."""

    epoch: int
    tick_offset: int
    trade_offset: int


@dataclass(frozen=True, slots=True)
class SymbolCheckpoint:
    """A symbol's state at the offsets of its partition."""

    symbol: str
    partition: int
    state: SymbolState
