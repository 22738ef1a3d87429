"""Checkpoints in small parts: a tick waits for one of them at most, however many symbols have changed."""

from __future__ import annotations

from collections import deque

from services.exit_qualification.domain.checkpoint import EngineCheckpoint
from services.exit_qualification.ticks.progress import Progress

PARTS = 32
"""Parts of a round; each has an equal share of the known symbols."""
FEW_SYMBOLS = 64
"""A part has room for so many in any case: a transaction without a symbol takes as long as so many of them."""


class CheckpointParts:
    """Rounds through the partitions ahead of their stored offsets.

    The offset of a partition is stored with the last of its changed symbols, as it was when the first of them was due.
    The symbols may be ahead of it by then.
    """

    def __init__(self, progress: Progress, few_symbols: int = FEW_SYMBOLS) -> None:
        self._progress = progress
        self._few_symbols = few_symbols
        self._due: deque[int] = deque()
        self._offset = 0
        self._symbols: deque[str] = deque()
        self._partition: int | None = None

    @property
    def is_between_rounds(self) -> bool:
        """Return whether the next part begins a round."""
        return self._partition is None and not self._due

    def next(self) -> EngineCheckpoint | None:
        """Return the next part; None if nothing is to be stored. Write it or load the engine again."""
        if self.is_between_rounds:
            self._due.extend(sorted(self._progress.unwritten()))
        most = max(self._few_symbols, -(-self._progress.symbol_count // PARTS))
        symbols: list[str] = []
        passed: dict[int, int] = {}
        while len(symbols) < most and self._begin():
            while self._symbols and len(symbols) < most:
                symbols.append(self._symbols.popleft())
            if self._partition is not None and not self._symbols:
                passed[self._partition] = self._offset
                self._partition = None
        return self._progress.part(passed, symbols) if passed or symbols else None

    def _begin(self) -> bool:
        """Go on with the partition at work, or begin the next one; return whether there is any."""
        if self._partition is None and self._due:
            self._partition = self._due.popleft()
            self._offset = self._progress.judged_offset(self._partition)
            self._symbols.extend(self._progress.changed(self._partition))
        return self._partition is not None
