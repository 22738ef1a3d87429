"""FixedLevel: the state of a rule with a constant price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from shared.exit_rules.levels import KEPT, Level, Side
from shared.exit_rules.rule import RuleState


@dataclass(frozen=True, slots=True)
class FixedLevel(RuleState):
    """Holds while the price is at or beyond one level."""

    level: Level

    @property
    def fire(self) -> Level:
        """Return the level."""
        return self.level

    @property
    def fixed_level(self) -> int:
        """Return the level's price."""
        return self.level.price


@lru_cache(KEPT)
def fixed_above(price: int) -> FixedLevel:
    """Return the state for exits at or above a profit price; it never changes, so trades share it."""
    return FixedLevel(Level(Side.AT_OR_ABOVE, price))


@lru_cache(KEPT)
def fixed_below(price: int) -> FixedLevel:
    """Return the state for exits at or below a profit price; it never changes, so trades share it."""
    return FixedLevel(Level(Side.AT_OR_BELOW, price))
