"""Progress of an engine: its offsets, the database's knowledge of them, and the content of a checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from services.exit_qualification.domain.checkpoint import Checkpoint, EngineCheckpoint, SymbolCheckpoint
from services.exit_qualification.domain.exit_signal_service import ExitSignalService
from services.exit_qualification.ticks.held_ticks import HeldTicks
from shared.kafka.clients import home_partition


class Progress:
    """Offsets reached by the engine in its partitions, and those in the database.

    A partition's offset is stored once all its changed symbols are. Urgent exits are written with their own symbols
    alone: the offsets of their states are then ahead of the partition's.

    Attributes
    ----------
    held:
        Stored checkpoint of each partition.
    reached:
        Offsets reached by the engine; of these, `waiting` ticks are not judged yet.
    """

    def __init__(
        self,
        engine: ExitSignalService,
        claimed: Mapping[int, Checkpoint],
        partitions: int,
        waiting: HeldTicks | None = None,
    ) -> None:
        self.held = dict(claimed)
        self.reached = dict(claimed)
        self._engine = engine
        self._partitions = partitions
        self._waiting = HeldTicks(partitions) if waiting is None else waiting
        self._symbols_of: dict[int, list[str]] = defaultdict(list)
        self._symbols_noted = 0

    def unwritten(self) -> set[int]:
        """Return the partitions with the engine ahead of the stored offsets."""
        return {
            partition
            for partition, held in self.held.items()
            if held.trade_offset != self.reached[partition].trade_offset
            or held.tick_offset != self.judged_offset(partition)
        }

    def checkpoint(self, partitions: Collection[int] = (), symbols: Iterable[str] = ()) -> EngineCheckpoint:
        """Return the checkpoint of whole partitions and of single symbols; write it or load the engine again."""
        passed = {partition: self.judged_offset(partition) for partition in partitions}
        changed = [symbol for partition in partitions for symbol in self.changed(partition)]
        return self.part(passed, [*symbols, *changed])

    def part(self, passed: Mapping[int, int], symbols: Iterable[str]) -> EngineCheckpoint:
        """Return the checkpoint of these symbols, and of partitions with no other ticks before these offsets to store.

        Symbols of partitions not held are left out. The offsets of trades are always those reached: a trade
        is written with its symbol.
        """
        homes = {symbol: home_partition(symbol, self._partitions) for symbol in symbols}
        homes = {symbol: home for symbol, home in homes.items() if home in self.held}
        concerned = {*homes.values(), *passed}
        offsets = {
            partition: Checkpoint(held.epoch, max(held.tick_offset, passed.get(partition, 0)), each.trade_offset)
            for partition, each in self.reached.items()
            if (held := self.held[partition]).trade_offset != each.trade_offset or partition in concerned
        }
        changed, waiting = sorted(self._engine.books.unsaved(homes)), self._waiting.first_offsets()
        states = [
            SymbolCheckpoint(symbol, homes[symbol], state, waiting.get(symbol, self.reached[homes[symbol]].tick_offset))
            for symbol in changed
            if (state := self._engine.books.state(symbol)) is not None
        ]
        return EngineCheckpoint(offsets, states, self._engine.books.take_moved(changed))

    def changed(self, partition: int) -> list[str]:
        """Return the symbols of a partition changed since their last checkpoint."""
        self._note_new_symbols()
        return self._engine.books.unsaved(self._symbols_of[partition])

    @property
    def symbol_count(self) -> int:
        """Return how many symbols are known, but for those of the last moment."""
        return self._symbols_noted

    def judged_offset(self, partition: int) -> int:
        """Return the offset with every tick before it judged: a held tick is read again after a restart."""
        return int(min(self.reached[partition].tick_offset, self._waiting.first_offset_in(partition)))

    def written(self, checkpoint: EngineCheckpoint, unsaved: Collection[str] = ()) -> None:
        """Record a checkpoint as committed, without the state of the symbols `unsaved`."""
        self.held |= checkpoint.offsets
        for each in checkpoint.symbols:
            if each.symbol not in unsaved:
                self._engine.books.note_saved(each.symbol, each.state)

    def _note_new_symbols(self) -> None:
        """Sort symbols by partition once: a checkpoint must not look at those of all others."""
        for symbol in self._engine.books.symbols(self._symbols_noted):
            self._symbols_of[home_partition(symbol, self._partitions)].append(symbol)
            self._symbols_noted += 1
