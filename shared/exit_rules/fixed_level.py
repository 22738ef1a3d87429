"""FixedLevel: the state of a rule with a constant price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from shared.exit_rules.levels import KEPT, Level
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


@lru_cache(2 * KEPT)
def fixed_at(level: Level) -> FixedLevel:
    """Return the state of a level; trades share it, as it never changes."""
    return FixedLevel(level)
