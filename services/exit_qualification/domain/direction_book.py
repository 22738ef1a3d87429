"""Rules of all LONG or all SHORT trades of one symbol, in profit prices."""

from __future__ import annotations

from collections.abc import Iterable

from services.exit_qualification.domain.level_index import LevelIndex, RuleKey
from services.exit_qualification.domain.watermarks import Watermarks
from shared.exit_rules.levels import ALWAYS, Level
from shared.exit_rules.rule import RuleState


class DirectionBook:
    """Updates every rule's state with the price and returns the armed rules that fire.

    An unarmed rule keeps moving: its watermark rises and its bricks form. Only levels of armed rules are watched, so
    a lasting condition costs nothing.
    """

    __slots__ = ("_levels", "_states", "_unarmed", "marks", "moved")

    def __init__(self) -> None:
        self._levels = LevelIndex()
        self._states: dict[RuleKey, RuleState] = {}
        self._unarmed: set[RuleKey] = set()
        self.marks = Watermarks()
        self.moved: set[RuleKey] = set()
        """Rules with a state not in a checkpoint yet."""

    @property
    def nearest_above(self) -> int:
        """Return the lowest price above the current one that can have an effect."""
        return min(self._levels.nearest_above, self.marks.nearest_above)

    @property
    def nearest_below(self) -> int:
        """Return the highest price below the current one that can have an effect."""
        return max(self._levels.nearest_below, self.marks.nearest_below)

    @property
    def has_rules(self) -> bool:
        """Return whether a rule is watched."""
        return bool(self._states)

    def put(self, key: RuleKey, state: RuleState, *, armed: bool) -> None:
        """Start to watch a rule."""
        self._states[key] = state
        if not armed:
            self._unarmed.add(key)
        self._index(key, state, armed=armed)

    def load(self, key: RuleKey, state: RuleState) -> None:
        """Put an armed rule; it is watched once `watch_loaded` is called."""
        self._states[key] = state

    def watch_loaded(self) -> None:
        """Start to watch every rule; the levels are sorted once."""
        unarmed = self._unarmed
        rules = [(key, state, not unarmed or key not in unarmed) for key, state in self._states.items()]
        self._levels.put_all((level, key) for key, state, armed in rules for level in _waits_for(state, armed=armed))
        self.marks.put_all(
            (key, state.watermark, trails if _touches(state, armed=armed) else None)
            for key, state, armed in rules
            if (trails := state.trails) is not None
        )

    def reached(self, price: int) -> set[RuleKey]:
        """Return every watched rule that a price can affect; nothing is changed."""
        return self._levels.reached(price).union(self.marks.reached(price))

    def drop(self, key: RuleKey) -> RuleState:
        """Stop watching a rule and return its state."""
        state = self._states.pop(key)
        self._unindex(key, state, armed=key not in self._unarmed)
        self.moved.discard(key)
        self._unarmed.discard(key)
        return state

    def state(self, key: RuleKey) -> RuleState:
        """Return the state of a watched rule."""
        return self._marked(key, self._states[key])

    def disarm(self, key: RuleKey) -> bool:
        """Prevent a rule from firing; return whether it was armed."""
        return self._set_armed(key, armed=False)

    def arm(self, key: RuleKey) -> bool:
        """Allow a rule to fire from the next price on; return whether it was not armed."""
        return self._set_armed(key, armed=True)

    def expire(self, key: RuleKey, now_ms: int) -> None:
        """Notify a rule of its deadline."""
        self._replace(key, self.state(key).expired(now_ms))

    def on_price(self, price: int, tick: int, *, opening: bool) -> list[RuleKey]:
        """Update every state affected by a price; disarm and return the armed rules that fire.

        `tick` numbers the ticks of the symbol; `opening` marks the first of a session and those outside sessions.
        """
        touched = self._levels.pop_reached(price)
        touched.update(self.marks.reached(price))
        self.marks.raise_to(price, tick)
        return [key for key in touched if self._look_at(key, price, opening=opening)]

    def settle(self, key: RuleKey, price: int, *, opening: bool) -> None:
        """Update one rule with the last price, which it has not seen; `opening` as of `on_price`."""
        self._replace(key, self.state(key).moved(price, opening=opening))

    def is_due(self, key: RuleKey, price: int | None) -> bool:
        """Return whether the condition holds at the last price; without a price only rules of the clock can hold."""
        state = self.state(key)
        return state.fire == ALWAYS if price is None else state.holds(price)

    def _look_at(self, key: RuleKey, price: int, *, opening: bool) -> bool:
        kept, armed = self._states[key], key not in self._unarmed
        before = self._marked(key, kept)
        after = before.moved(price, opening=opening)
        fires = armed and after.holds(price)
        self._unindex(key, kept, armed=armed)
        if after != before:
            self.moved.add(key)
        self._states[key] = after
        if fires:
            self._unarmed.add(key)
        self._index(key, after, armed=armed and not fires)
        return fires

    def _marked(self, key: RuleKey, kept: RuleState) -> RuleState:
        """Return a kept state with its shared watermark, if it has one."""
        watermark = None if kept.trails is None else self.marks.watermark(key)
        return kept if watermark is None else kept.marked(watermark)

    def _set_armed(self, key: RuleKey, *, armed: bool) -> bool:
        if (key not in self._unarmed) is armed:
            return False
        state = self._states[key] = self.state(key)
        self._unindex(key, state, armed=not armed)
        if armed:
            self._unarmed.remove(key)
        else:
            self._unarmed.add(key)
        self._index(key, state, armed=armed)
        return True

    def _replace(self, key: RuleKey, state: RuleState) -> None:
        before, armed = self._states[key], key not in self._unarmed
        self._unindex(key, before, armed=armed)
        if state != before:
            self.moved.add(key)
        self._states[key] = state
        self._index(key, state, armed=armed)

    def _index(self, key: RuleKey, state: RuleState, *, armed: bool) -> None:
        for level in _waits_for(state, armed=armed):
            self._levels.put(level, key)
        if state.trails is not None:
            self.marks.put(key, state.watermark, state.trails if _touches(state, armed=armed) else None)

    def _unindex(self, key: RuleKey, state: RuleState, *, armed: bool) -> None:
        for level in _waits_for(state, armed=armed):
            self._levels.drop(level, key)
        if state.trails is not None:
            self.marks.drop(key)


def _waits_for(state: RuleState, *, armed: bool) -> Iterable[Level]:
    """Return the levels to watch, except those of shared watermarks."""
    if not armed or state.fire is None or state.trails is not None:
        return state.moves
    return (*state.moves, state.fire)


def _touches(state: RuleState, *, armed: bool) -> bool:
    """Return whether the trailing level matters: a confirmation counts from there, armed or not."""
    return armed or state.fire is None
