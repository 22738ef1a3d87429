"""Circuit limits: the prices between which a symbol trades on a day."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from services.exit_qualification.domain.level_index import ABOVE_ALL, BELOW_ALL
from shared.money import to_units


class CircuitLimits(NamedTuple):
    """Lowest and highest price of a symbol's day, in units of 1/10,000 rupee; both can trade.

    Attributes
    ----------
    day:
        In Asia/Kolkata, in days since 1970. On other days the limits say nothing.
    """

    day: int
    lower: int = BELOW_ALL
    upper: int = ABOVE_ALL

    def exclude(self, price: int, day: int) -> bool:
        """Return whether a price of a day cannot be one."""
        return day == self.day and not self.lower <= price <= self.upper


NO_LIMITS: Final = CircuitLimits(day=-1)


def circuit_limits(day: int, lower: Decimal | None, upper: Decimal | None) -> CircuitLimits:
    """Return the limits of a day in rupees, as a quote tells them; `NO_LIMITS` if it has none."""
    if lower is None and upper is None:
        return NO_LIMITS
    return CircuitLimits(
        day, BELOW_ALL if lower is None else to_units(lower), ABOVE_ALL if upper is None else to_units(upper)
    )
