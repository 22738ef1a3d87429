"""Index of price levels, with the nearest level on either side of the price."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
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
    any number of levels. Putting and dropping cost O(log n). Almost every level has one rule, kept without a set: the
    set would take more memory than the rule.
    """

    __slots__ = ("_above", "_below", "nearest_above", "nearest_below")

    def __init__(self) -> None:
        self._above: SortedDict[int, _Waiting] = SortedDict()
        self._below: SortedDict[int, _Waiting] = SortedDict()
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    def put(self, level: Level, key: RuleKey) -> None:
        """Register a rule at a level; a repeated call changes nothing."""
        _put(self._side(level), level.price, key)
        if level.side is Side.AT_OR_ABOVE:
            self.nearest_above = min(self.nearest_above, level.price)
        else:
            self.nearest_below = max(self.nearest_below, level.price)

    def put_all(self, levels: Iterable[tuple[Level, RuleKey]]) -> None:
        """Register many rules: the prices are sorted once."""
        above: dict[int, _Waiting] = {}
        below: dict[int, _Waiting] = {}
        for level, key in levels:
            new, price = above if level.side is Side.AT_OR_ABOVE else below, level.price
            if new.setdefault(price, key) is not key:
                _put(new, price, key)
        for prices, added in ((self._below, below), (self._above, above)):
            for price in [price for price in added if price in prices]:
                for key in _keys(added.pop(price)):
                    _put(prices, price, key)
            prices.update(added)
        self._find_nearest()

    def drop(self, level: Level, key: RuleKey) -> None:
        """Remove a rule from a level; do nothing if it is not registered."""
        prices = self._side(level)
        waiting = prices.get(level.price)
        if isinstance(waiting, set):
            waiting.discard(key)
        if waiting == key or waiting == set():
            del prices[level.price]
            self._find_nearest()

    def reached(self, price: int) -> set[RuleKey]:
        """Return the rules of every level reached by a price."""
        reached: set[RuleKey] = set()
        for level in self._above.irange(maximum=price):
            reached.update(_keys(self._above[level]))
        for level in self._below.irange(minimum=price):
            reached.update(_keys(self._below[level]))
        return reached

    def pop_reached(self, price: int) -> set[RuleKey]:
        """Remove every level reached by a price and return its rules."""
        reached: set[RuleKey] = set()
        if self.nearest_below < price < self.nearest_above:
            return reached
        for waiting in (*self._pop_above(price), *self._pop_below(price)):
            reached.update(_keys(waiting))
        self._find_nearest()
        return reached

    def _pop_above(self, price: int) -> Iterator[_Waiting]:
        while self._above and self._above.peekitem(0)[0] <= price:
            yield self._above.popitem(0)[1]

    def _pop_below(self, price: int) -> Iterator[_Waiting]:
        while self._below and self._below.peekitem(-1)[0] >= price:
            yield self._below.popitem(-1)[1]

    def _side(self, level: Level) -> SortedDict[int, _Waiting]:
        return self._above if level.side is Side.AT_OR_ABOVE else self._below

    def _find_nearest(self) -> None:
        self.nearest_above = self._above.peekitem(0)[0] if self._above else ABOVE_ALL
        self.nearest_below = self._below.peekitem(-1)[0] if self._below else BELOW_ALL


_Waiting = RuleKey | set[RuleKey]
"""Rules of one level: the only one, or several."""


def _put(prices: MutableMapping[int, _Waiting], price: int, key: RuleKey) -> None:
    waiting = prices.get(price)
    if waiting is None:
        prices[price] = key
    elif isinstance(waiting, set):
        waiting.add(key)
    elif waiting != key:
        prices[price] = {waiting, key}


def _keys(waiting: _Waiting) -> Iterable[RuleKey]:
    return waiting if isinstance(waiting, set) else (waiting,)
