"""UnsavedSymbols: symbols whose row was locked when their state should have been stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.exit_qualification.storage.tick_checkpoints import Checkpoint, SymbolCheckpoint


class UnsavedSymbols:
    """Keeps their last state for the next transaction of their partition.

    The state counts only under the epoch that it was found in: when the partition has had another owner since, that
    owner knows better. A worker that ends before the row is free leaves the state of before, from which a symbol is
    judged correctly from its next tick on; exits that its ticks caused are stored apart.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[SymbolCheckpoint, int]] = {}

    def together_with(
        self, symbols: Sequence[SymbolCheckpoint], checkpoints: Mapping[int, Checkpoint]
    ) -> list[SymbolCheckpoint]:
        """Return `symbols`, and what was kept of other symbols of the partitions at hand, sorted."""
        kept = {
            each.symbol: each
            for each, epoch in self._kept.values()
            if (now := checkpoints.get(each.partition)) is not None and now.epoch == epoch
        }
        merged = kept | {each.symbol: each for each in symbols}
        return [merged[symbol] for symbol in sorted(merged)]

    def keep(self, symbols: Sequence[SymbolCheckpoint], checkpoints: Mapping[int, Checkpoint]) -> None:
        """Keep these, which could not be stored; what was kept of the partitions at hand is stored or out of date."""
        elsewhere = {name: kept for name, kept in self._kept.items() if kept[0].partition not in checkpoints}
        self._kept = elsewhere | {
            each.symbol: (each, checkpoints[each.partition].epoch) for each in symbols if each.partition in checkpoints
        }
