"""Best profit price of every trailing stop of a symbol; equal ones share a watermark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict, SortedList

from services.exit_qualification.domain.level_index import ABOVE_ALL, BELOW_ALL, RuleKey
from shared.exit_rules.rule import Distance


class _Group:
    """Stops with the same watermark. Waiting stops are sorted by distance to find the nearest quickly."""

    __slots__ = ("members", "nearest", "waiting")

    def __init__(self) -> None:
        self.members: dict[RuleKey, Distance | None] = {}
        self.waiting: tuple[SortedDict[int, set[RuleKey]], SortedDict[int, set[RuleKey]]] = (SortedDict(), SortedDict())
        self.nearest = BELOW_ALL

    def put(self, key: RuleKey, waits: Distance | None) -> None:
        self.members[key] = waits
        if waits is not None:
            self._kind(waits).setdefault(_size(waits), set()).add(key)

    def drop(self, key: RuleKey) -> None:
        waits = self.members.pop(key)
        if waits is None:
            return
        of_size = self._kind(waits)[_size(waits)]
        of_size.discard(key)
        if not of_size:
            del self._kind(waits)[_size(waits)]

    def nearest_level(self, watermark: int) -> int:
        """Return the highest level of a waiting stop."""
        amounts, ppms = self.waiting
        return max(
            Distance(amount=amounts.keys()[0]).level(watermark) if amounts else BELOW_ALL,
            Distance(ppm=ppms.keys()[0]).level(watermark) if ppms else BELOW_ALL,
        )

    def reached(self, watermark: int, price: int) -> Iterator[RuleKey]:
        """Yield the waiting stops with a level reached by a profit price."""
        for kind in self.waiting:
            for keys in kind.values():
                if self._level(next(iter(keys)), watermark) < price:
                    break
                yield from keys

    def _level(self, key: RuleKey, watermark: int) -> int:
        waits = self.members[key]
        assert waits is not None
        return waits.level(watermark)

    def _kind(self, waits: Distance) -> SortedDict[int, set[RuleKey]]:
        return self.waiting[1 if waits.ppm else 0]


def _size(waits: Distance) -> int:
    return waits.ppm or waits.amount


class Watermarks:
    """Watermarks of one symbol and direction.

    A new best price merges the groups below it, the smaller into the larger. A stop therefore moves O(log n) times in
    total, for any number of new highs.

    Attributes
    ----------
    nearest_above:
        Lowest profit price to move a watermark.
    nearest_below:
        Highest profit price to reach a waiting stop.
    """

    __slots__ = ("_group_of", "_groups", "_levels", "_mark_of", "_stairs", "nearest_above", "nearest_below")

    def __init__(self) -> None:
        self._groups: SortedDict[int, _Group] = SortedDict()
        self._group_of: dict[RuleKey, _Group] = {}
        self._mark_of: dict[int, int] = {}  # by id of the group: its watermark
        self._levels: SortedList[tuple[int, int]] = SortedList()  # (nearest level, watermark) of waiting groups
        self._stairs: list[tuple[int, int]] = []
        self.nearest_above = ABOVE_ALL
        self.nearest_below = BELOW_ALL

    @property
    def stairs(self) -> tuple[tuple[int, int], ...]:
        """Return the ticks behind the watermarks: (number of the tick, profit price), falling.

        They stay while no stop has a watermark: a restart must find the same watermark for a returning stop.
        """
        return tuple(self._stairs)

    def restore(self, stairs: Iterable[tuple[int, int]]) -> None:
        """Restore the stairs of a checkpoint, before any stop is put."""
        self._stairs = list(stairs)

    def best_since(self, tick: int) -> int:
        """Return the best profit price after a tick if it moved a watermark; below all prices otherwise."""
        return next((price for number, price in self._stairs if number > tick), BELOW_ALL)

    def put(self, key: RuleKey, watermark: int, waits: Distance | None) -> None:
        """Track the watermark of a stop; with a distance the stop also waits for its level."""
        self._regroup(self._joined(key, watermark, waits))

    def put_all(self, stops: Iterable[tuple[RuleKey, int, Distance | None]]) -> None:
        """Track many stops, each with its watermark and distance; their groups are looked at once."""
        joined = {watermark: self._joined(key, watermark, waits) for key, watermark, waits in stops}
        for group in joined.values():
            self._regroup(group)

    def _joined(self, key: RuleKey, watermark: int, waits: Distance | None) -> _Group:
        """Put a stop into the group of its watermark, and return the group."""
        group: _Group | None = self._groups.get(watermark)
        if group is None:
            group = self._groups[watermark] = _Group()
            self._mark_of[id(group)] = watermark
        group.put(key, waits)
        self._group_of[key] = group
        return group

    def drop(self, key: RuleKey) -> None:
        """Remove a stop; do nothing if it is unknown."""
        group = self._group_of.pop(key, None)
        if group is None:
            return
        group.drop(key)
        self._regroup(group)

    def watermark(self, key: RuleKey) -> int | None:
        """Return the watermark of a stop; None if it is unknown."""
        group = self._group_of.get(key)
        return None if group is None else self._mark_of[id(group)]

    def reached(self, price: int) -> list[RuleKey]:
        """Return the waiting stops reached by a profit price."""
        found: list[RuleKey] = []
        if price > self.nearest_below:
            return found
        for level, watermark in reversed(self._levels):
            if level < price:
                break
            found.extend(self._groups[watermark].reached(watermark, price))
        return found

    def raise_to(self, price: int, tick: int) -> None:
        """Raise every watermark below a profit price to it; `tick` is the number of the causing tick."""
        if price < self.nearest_above:
            return
        passed = [self._pop_lowest() for _ in range(self._groups.bisect_left(price))]
        group = self._groups.pop(price, None)
        if group is not None:
            self._forget(group)
            passed.append(group)
        largest = max(passed, key=lambda each: len(each.members))
        for each in passed:
            if each is not largest:
                self._merge(each, largest)
        self._groups[price] = largest
        self._mark_of[id(largest)] = price
        self._regroup(largest)
        while self._stairs and self._stairs[-1][1] <= price:
            self._stairs.pop()
        self._stairs.append((tick, price))

    def _pop_lowest(self) -> _Group:
        group: _Group = self._groups.popitem(0)[1]
        self._forget(group)
        return group

    def _forget(self, group: _Group) -> None:
        watermark = self._mark_of.pop(id(group))
        if group.nearest != BELOW_ALL:
            self._levels.remove((group.nearest, watermark))
            group.nearest = BELOW_ALL

    def _merge(self, group: _Group, into: _Group) -> None:
        for key, waits in group.members.items():
            into.put(key, waits)
            self._group_of[key] = into

    def _regroup(self, group: _Group) -> None:
        watermark = self._mark_of[id(group)]
        nearest = group.nearest_level(watermark)
        if nearest != group.nearest:
            if group.nearest != BELOW_ALL:
                self._levels.remove((group.nearest, watermark))
            if nearest != BELOW_ALL:
                self._levels.add((nearest, watermark))
            group.nearest = nearest
        if not group.members:
            self._forget(group)
            del self._groups[watermark]
        self.nearest_above = self._groups.keys()[0] + 1 if self._groups else ABOVE_ALL
        self.nearest_below = self._levels[-1][0] if self._levels else BELOW_ALL
