"""LevelIndex: many levels, and the two prices between which nothing happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

from sortedcontainers import SortedDict

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.levels import Level, Side

ABOVE_ALL: Final = 2**63
BELOW_ALL: Final = -(2**63)
"""Stand for "no level": no price in units of a NUMERIC(18,4) gets there."""


class RuleKey(NamedTuple):
    """One rule of one trade; `leg` is None for the whole remainder."""

    trade_id: UUID
    reason: ExitReason
    leg: int | None = None


class LevelIndex:
    """Levels sorted by price, each with the rules that wait for it.

    Strictly between `nearest_below` and `nearest_above` a price reaches nothing, and to know that costs two
    comparisons however many levels there are. Putting and dropping cost O(log n).
    """

    __slots__ = ("_above", "_below", "nearest_above", "nearest_below")

    def __init__(self) -> None:
        self._above: SortedDict[int, set[RuleKey]] = SortedDict()
        self._below: SortedDict[int, set[RuleKey]] = SortedDict()
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    def put(self, level: Level, key: RuleKey) -> None:
        """Let a rule wait for a level; twice is once."""
        self._side(level).setdefault(level.price, set()).add(key)
        self._find_nearest()

    def drop(self, level: Level, key: RuleKey) -> None:
        """Let a rule wait for a level no more; nothing if it does not."""
        prices = self._side(level)
        waiting = prices.get(level.price)
        if waiting is None:
            return
        waiting.discard(key)
        if not waiting:
            del prices[level.price]
            self._find_nearest()

    def pop_reached(self, price: int) -> set[RuleKey]:
        """Take out every level that a price reaches and return the rules that waited."""
        reached: set[RuleKey] = set()
        for keys in (*self._pop_above(price), *self._pop_below(price)):
            reached |= keys
        self._find_nearest()
        return reached

    def _pop_above(self, price: int) -> Iterator[set[RuleKey]]:
        while self._above and self._above.peekitem(0)[0] <= price:
            yield self._above.popitem(0)[1]

    def _pop_below(self, price: int) -> Iterator[set[RuleKey]]:
        while self._below and self._below.peekitem(-1)[0] >= price:
            yield self._below.popitem(-1)[1]

    def _side(self, level: Level) -> SortedDict[int, set[RuleKey]]:
        return self._above if level.side is Side.AT_OR_ABOVE else self._below

    def _find_nearest(self) -> None:
        self.nearest_above = self._above.peekitem(0)[0] if self._above else ABOVE_ALL
        self.nearest_below = self._below.peekitem(-1)[0] if self._below else BELOW_ALL
