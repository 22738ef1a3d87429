"""Renko bricks of one trade, in profit prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from shared.exit_rules.levels import Level, above, below


@dataclass(frozen=True, slots=True)
class Bricks:
    """The last brick of a trade.

    Attributes
    ----------
    size:
        Units; frozen at entry.
    close:
        Where the last brick ended; the entry price before the first.
    direction:
        +1 if the last brick went toward profit, -1 if away from it, 0 before the first.
    """

    size: int
    close: int
    direction: int = 0

    @property
    def next_levels(self) -> tuple[Level, Level]:
        """Return the levels of the next brick, toward profit and away from it.

        A brick in the direction of the last one takes one size; the first brick against it takes two.
        """
        up = self.size if self.direction >= 0 else 2 * self.size
        down = self.size if self.direction <= 0 else 2 * self.size
        return above(self.close + up), below(self.close - down)

    def at(self, price: int) -> tuple[Self, int]:
        """Return the bricks after a price, and how many it formed: positive toward profit, negative away from it."""
        difference = price - self.close
        sign = 1 if difference > 0 else -1
        sizes = abs(difference) // self.size
        count = sizes if self.direction in (0, sign) else sizes - 1
        if count <= 0:
            return self, 0
        return type(self)(self.size, self.close + sign * sizes * self.size, sign), sign * count
