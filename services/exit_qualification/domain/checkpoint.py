"""Checkpoint: how far a partition is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.symbol_book import SymbolState
from shared.exit_rules.rule import Saved


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


@dataclass(frozen=True, slots=True)
class EngineCheckpoint:
    """Offsets of partitions, and what changed in the engine up to exactly these offsets since the last checkpoint.

    Attributes
    ----------
    rules:
        New rule states of trades.
    """

    offsets: Mapping[int, Checkpoint]
    symbols: Sequence[SymbolCheckpoint] = ()
    rules: Mapping[UUID, Mapping[RuleKey, Saved]] = field(default_factory=dict)
