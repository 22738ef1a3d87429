"""Levels: trigger prices of rules, measured toward profit."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple


class Side(Enum):
    """The side on which a level is reached; a price equal to the level always counts."""

    AT_OR_ABOVE = "at or above"
    AT_OR_BELOW = "at or below"


class Level(NamedTuple):
    """A profit price in units: market price times the direction's sign, so higher is better for every trade."""

    side: Side
    price: int

    def is_reached(self, price: int) -> bool:
        """Return whether a profit price reaches the level."""
        return price >= self.price if self.side is Side.AT_OR_ABOVE else price <= self.price


ALWAYS: Final = Level(Side.AT_OR_BELOW, 2**63)
"""Reached by every price of a NUMERIC(18,4)."""


KEPT: Final = 65_536
"""Levels kept of each side: prices of a market lie on a grid, so trades share most of them."""


@lru_cache(KEPT)
def above(price: int) -> Level:
    """Return the level reached at or above a profit price."""
    return Level(Side.AT_OR_ABOVE, price)


@lru_cache(KEPT)
def below(price: int) -> Level:
    """Return the level reached at or below a profit price."""
    return Level(Side.AT_OR_BELOW, price)
