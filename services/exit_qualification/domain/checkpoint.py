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
    """A symbol's state.

    Attributes
    ----------
    tick_offset:
        The next offset of its partition's ticks for this symbol: the state has all before. It may be ahead of the
        partition's own.
    """

    symbol: str
    partition: int
    state: SymbolState
    tick_offset: int = 0


@dataclass(frozen=True, slots=True)
class EngineCheckpoint:
    """Offsets of partitions, and the changes of the engine since the last checkpoint.

    Attributes
    ----------
    symbols:
        All changed ones, of a partition whose tick offset moves; of any other, some that are ahead.
    rules:
        New rule states of the trades of these symbols.
    """

    offsets: Mapping[int, Checkpoint]
    symbols: Sequence[SymbolCheckpoint] = ()
    rules: Mapping[UUID, Mapping[RuleKey, Saved]] = field(default_factory=dict)
