"""Index of price levels, with the nearest level on either side of the price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Self
from uuid import UUID

from sortedcontainers import SortedDict

from shared.contracts.vocabulary import ExitReason
from shared.exit_rules.levels import Level, Side

ABOVE_ALL: Final = 2**63
BELOW_ALL: Final = -(2**63)
"""Sentinels for "no level", beyond every price in units of a NUMERIC(18,4)."""


class RuleKey(NamedTuple):
    """Key of one rule of one trade; `leg` is None for the whole remainder."""

    trade_id: UUID
    reason: ExitReason
    leg: int | None = None

    @property
    def slot(self) -> str:
        """Return the rule's name within its trade as the database has it: the reason, or reason/leg."""
        return self.reason.value if self.leg is None else f"{self.reason.value}/{self.leg}"

    @classmethod
    def of_slot(cls, trade_id: UUID, slot: str) -> Self:
        """Return the key of a rule by its name within the trade."""
        reason, _, leg = slot.partition("/")
        return cls(trade_id, ExitReason(reason), int(leg) if leg else None)


class LevelIndex:
    """Levels sorted by price, each with its waiting rules.

    A price strictly between `nearest_below` and `nearest_above` reaches no level. This check takes two comparisons for
    any number of levels. Putting and dropping cost O(log n).
    """

    __slots__ = ("_above", "_below", "nearest_above", "nearest_below")

    def __init__(self) -> None:
        self._above: SortedDict[int, set[RuleKey]] = SortedDict()
        self._below: SortedDict[int, set[RuleKey]] = SortedDict()
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    def put(self, level: Level, key: RuleKey) -> None:
        """Register a rule at a level; a repeated call changes nothing."""
        self._side(level).setdefault(level.price, set()).add(key)
        if level.side is Side.AT_OR_ABOVE:
            self.nearest_above = min(self.nearest_above, level.price)
        else:
            self.nearest_below = max(self.nearest_below, level.price)

    def drop(self, level: Level, key: RuleKey) -> None:
        """Remove a rule from a level; do nothing if it is not registered."""
        prices = self._side(level)
        waiting = prices.get(level.price)
        if waiting is None:
            return
        waiting.discard(key)
        if not waiting:
            del prices[level.price]
            self._find_nearest()

    def pop_reached(self, price: int) -> set[RuleKey]:
        """Remove every level reached by a price and return its rules."""
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
