"""Scale: how a split or a bonus issue changes quantities, prices and the saved states of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from shared.exit_rules.rule import Saved
from shared.money import to_price

SAVED_PRICES: Final = frozenset({"best", "brick_close"})
"""Names of prices in a rule's saved state; the other names are counts and flags."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Of `before` shares there are `after` now; prices change the other way round."""

    before: int = 1
    after: int = 1

    @property
    def inverse(self) -> Scale:
        """Return the inverse scale."""
        return Scale(self.after, self.before)

    def quantity(self, quantity: int) -> int:
        """Return the whole shares; a fraction is paid in cash."""
        return quantity * self.after // self.before

    def price(self, price: Decimal) -> Decimal:
        """Return a price or a distance in rupees, rounded half up to the four decimals of stored prices."""
        return to_price(price * self.before / self.after)

    def units(self, price: int) -> int:
        """Return a profit price in units, rounded half away from zero as `price` rounds."""
        size = (2 * abs(price) * self.before + self.after) // (2 * self.after)
        return size if price >= 0 else -size

    def saved(self, saved: Saved) -> Saved:
        """Return a rule's saved state with its prices changed, those of a confirmed rule too."""
        return {
            name: self.units(value) if name.removeprefix("inner_") in SAVED_PRICES else value
            for name, value in saved.items()
        }


@dataclass(frozen=True, slots=True)
class PlanScale:
    """Scale of a trade's plan.

    Attributes
    ----------
    tick_size:
        Rupees; levels are rounded half up to a multiple of it.
    filled:
        Filled quantity of each leg; it does not change.
    """

    scale: Scale
    tick_size: Decimal
    filled: Mapping[int, int] = field(default_factory=dict)

    def level(self, price: Decimal) -> Decimal:
        """Return a price of the plan, a multiple of the tick size."""
        ticks = (self.scale.price(price) / self.tick_size).quantize(Decimal(1), ROUND_HALF_UP)
        return ticks * self.tick_size

    def distance(self, difference: Decimal) -> Decimal:
        """Return a distance between prices."""
        return self.scale.price(difference)

    def leg_quantity(self, leg: int, quantity: int) -> int:
        """Return the quantity of a leg: its filled part unchanged, and the rest scaled."""
        filled = min(self.filled.get(leg, 0), quantity)
        return filled + self.scale.quantity(quantity - filled)
