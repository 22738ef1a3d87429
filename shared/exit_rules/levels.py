"""Levels: prices at which a rule acts, seen from the side of profit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Side(Enum):
    """The side of a level on which it is reached; the level itself always is."""

    AT_OR_ABOVE = "at or above"
    AT_OR_BELOW = "at or below"


@dataclass(frozen=True, slots=True)
class Level:
    """A profit price in units: the market price times the direction's sign, so that up is profit for every trade."""

    side: Side
    price: int

    def is_reached(self, price: int) -> bool:
        """Return whether a profit price reaches the level."""
        return price >= self.price if self.side is Side.AT_OR_ABOVE else price <= self.price


ALWAYS: Final = Level(Side.AT_OR_BELOW, 2**63)
"""Reached by every price that a NUMERIC(18,4) can hold."""


def above(price: int) -> Level:
    """Return the level reached at or above a profit price."""
    return Level(Side.AT_OR_ABOVE, price)


def below(price: int) -> Level:
    """Return the level reached at or below a profit price."""
    return Level(Side.AT_OR_BELOW, price)
