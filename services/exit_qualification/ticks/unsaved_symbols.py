"""Symbols whose row was locked when their state had to be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.exit_qualification.domain.checkpoint import Checkpoint, SymbolCheckpoint


class UnsavedSymbols:
    """Keeps their last state for the next transaction of their partition.

    A state is valid only in the epoch in which it was found, because a later owner of the partition has newer data. A
    worker that ends before the row is free leaves the older state. The symbol is then evaluated correctly from its next
    tick; exits caused by its ticks are stored separately.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[SymbolCheckpoint, int]] = {}

    def together_with(
        self, symbols: Sequence[SymbolCheckpoint], checkpoints: Mapping[int, Checkpoint]
    ) -> list[SymbolCheckpoint]:
        """Return `symbols` and the kept states of other symbols of the given partitions, sorted."""
        kept = {
            each.symbol: each
            for each, epoch in self._kept.values()
            if (now := checkpoints.get(each.partition)) is not None and now.epoch == epoch
        }
        merged = kept | {each.symbol: each for each in symbols}
        return [merged[symbol] for symbol in sorted(merged)]

    def keep(self, symbols: Sequence[SymbolCheckpoint], checkpoints: Mapping[int, Checkpoint]) -> None:
        """Keep the states that could not be stored; drop earlier ones of the given partitions."""
        elsewhere = {name: kept for name, kept in self._kept.items() if kept[0].partition not in checkpoints}
        self._kept = elsewhere | {
            each.symbol: (each, checkpoints[each.partition].epoch) for each in symbols if each.partition in checkpoints
        }
