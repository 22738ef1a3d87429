"""ExitRule: the definition of one exit reason. RuleState: a trade's progress within the rule.

Rules use profit prices: market price times the direction's sign, in units of 1/10,000 rupee. Toward profit is up for
LONG and SHORT alike, so no rule depends on the direction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.contracts.vocabulary import Direction, ExitReason
from shared.exit_rules.levels import Level

if TYPE_CHECKING:  # it needs `Saved` from here
    from shared.exit_rules.scale import PlanScale

Saved = dict[str, int]
"""The part of a rule's state kept in a checkpoint."""


class PlanPart(BaseModel):
    """Plan fields contributed by one rule, as on the wire. Prices in rupees."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class PlanOption:
    """One field of a plan as an option of the command line.

    Attributes
    ----------
    path:
        Where the value stands in the plan's JSON.
    kind:
        `str` for money, `int` for counts, `bool` for a flag without a value.
    read:
        Converts the option's value to the plan's JSON; raises ValueError. None takes it as it is.
    """

    flag: str
    path: tuple[str, ...]
    help: str
    kind: type = str
    read: Callable[[str], Any] | None = None


class Position(NamedTuple):
    """An entered trade as its rules see it.

    Attributes
    ----------
    entry:
        The entry as a profit price.
    entered_at_ms:
        Milliseconds since 1970.
    square_off_at_ms:
        When the trade's product is squared off on the day of the entry; None if it never is.
    """

    direction: Direction
    entry: int
    entered_at_ms: int
    square_off_at_ms: int | None = None

    def profit_price(self, price: int) -> int:
        """Return a market price in units as a profit price, and the other way round."""
        return price * self.direction.sign


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a stop trails behind its watermark: units, or parts per million of the watermark."""

    amount: int = 0
    ppm: int = 0

    def level(self, watermark: int) -> int:
        """Return the highest profit price at which the stop is reached.

        Rounded away from the watermark, so a price reaches the stop exactly as in real-valued arithmetic.
        """
        return watermark - self.amount + (-abs(watermark) * self.ppm) // 1_000_000


BELOW_ALL_PRICES: Final = -(2**63)
"""Moves no state."""


class RuleState(ABC):
    """Where a trade stands with a rule; immutable. The condition of the rule holds while `fire` is reached."""

    __slots__ = ()

    @property
    @abstractmethod
    def fire(self) -> Level | None:
        """Return the trade's exit level; None while no price exits it."""

    @property
    def moves(self) -> tuple[Level, ...]:
        """Return the levels at which the state changes; call `moved` once a price reaches one of them."""
        return ()

    @property
    def trails(self) -> Distance | None:
        """Return the trailing distance if the engine keeps the watermark, else None."""
        return None

    @property
    def watermark(self) -> int:
        """Return the best profit price so far; meaningful only for a trailing state."""
        return 0

    @property
    def reached(self) -> int:
        """Return the best profit price since entry as far as the state depends on it."""
        return BELOW_ALL_PRICES

    @property
    def fixed_level(self) -> int | None:
        """Return the profit price of its exit if it never moves, else None."""
        return None

    @property
    def deadline_ms(self) -> int | None:
        """Return the time of a clock-driven change in milliseconds since 1970, or None."""
        return None

    def moved(self, price: int, *, opening: bool) -> Self:
        """Return the state after a profit price; the same state if nothing changes.

        `opening` marks the first tick of a trading day; it forms no bricks.
        """
        return self

    def marked(self, watermark: int) -> Self:
        """Return the state with the engine's watermark."""
        return self

    def following(self, before: RuleState) -> Self:
        """Return the state at entry of a changed rule, advanced to the progress of the rule before the change."""
        return self.moved(before.reached, opening=False)

    def expired(self, now_ms: int) -> Self:
        """Return the state after its deadline."""
        return self

    @property
    def condition(self) -> Level | None:
        """Return the level to check again for a waiting exit; None if a price alone does not decide."""
        return self.fire

    @property
    def eventual(self) -> Level | None:
        """Return the level at which the state exits or will exit as it stands; None if no price alone decides."""
        return self.condition

    @property
    def arms_at(self) -> Level | None:
        """Return the level for arming the state; None once it is armed, or if it always is."""
        return None

    def saved(self) -> Saved:
        """Return the differences from the state at entry, as whole numbers by name."""
        return {}

    def restored(self, saved: Saved) -> Self:
        """Return the state at entry advanced by a result of `saved`."""
        return self

    def holds(self, price: int) -> bool:
        """Return whether the trade should exit at a profit price."""
        return self.fire is not None and self.fire.is_reached(price)


P = TypeVar("P", contravariant=True)


class ExitRule(ABC, Generic[P]):
    """One exit reason. Subclasses have no state; the registry holds one object of each.

    Attributes
    ----------
    expires:
        Whether a waiting exit is given up when its condition is gone or its time is over.
    resumes:
        Whether an exit ended with quantity left is detected again without waiting for the market.
    planned:
        Whether a plan asks for it; others are requested from outside.
    by_price:
        Whether a price of the symbol decides: such an exit needs a fresh and sane one.
    toward:
        +1 if prices toward profit meet the condition, -1 if prices away from it do, 0 if no price does.
    options:
        The fields of its plan on the command line.
    """

    reason: ClassVar[ExitReason]
    expires: ClassVar[bool] = True
    resumes: ClassVar[bool] = False
    planned: ClassVar[bool] = True
    by_price: ClassVar[bool] = True
    toward: ClassVar[int] = 0
    options: ClassVar[tuple[PlanOption, ...]] = ()

    @abstractmethod
    def start(self, plan: P, position: Position) -> Mapping[int | None, RuleState]:
        """Return the states at entry, by leg; None is the whole remainder. Empty if the plan has no such rule."""

    def still_holds(self, direction: Direction, level: int, price: int) -> bool:
        """Return whether a market price is at or beyond the detected level; both in units."""
        return (price - level) * direction.sign * self.toward >= 0

    def contradictions(self, plan: P, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return the plan's contradictions for a trade of this direction and entry; empty if none."""
        return []

    def prices(self, plan: P) -> Mapping[str, Decimal]:
        """Return the plan's prices by field, in rupees; each must be a multiple of the tick size."""
        return {}

    def inconsistencies(self, plan: P, direction: Direction, entry_price: Decimal) -> list[str]:
        """Return where the plan contradicts itself, at opening and at every change; empty if nowhere."""
        return []

    def change_contradictions(self, before: P, after: P) -> list[str]:
        """Return why an open trade cannot change between these plans; empty if it can."""
        return []

    def leg_quantities(self, plan: P, quantity: int) -> Mapping[int, int]:
        """Return the quantity of each leg of a trade of this quantity; a rule for the whole remainder has none."""
        return {}

    def sized(self, plan: P, quantity: int, lot: int) -> Mapping[str, object]:
        """Return the plan's fields measured in the trade's quantity and lot size, resolved."""
        return {}

    def size_contradictions(self, plan: P, quantity: int, lot: int) -> list[str]:
        """Return contradictions with the trade's quantity or lot size in a sized plan; empty if none."""
        return []

    @abstractmethod
    def scaled(self, plan: P, scale: PlanScale) -> Mapping[str, object]:
        """Return the plan's fields with prices and quantities, changed by a corporate action; empty if it has none.

        Every rule says it: a price left as it was would exit at the first tick after a split.
        """

    def filled_leg_contradictions(self, before: P, after: P, filled: Mapping[int, int]) -> list[str]:
        """Return why legs with fills, and their effects, cannot change between these plans; empty if they do not.

        `filled` has the filled quantity of each.
        """
        return []

    def stop_after(self, plan: P, leg: int, entry_price: Decimal) -> Decimal | None:
        """Return the plan's stop in rupees after a leg is filled; None without one."""
        return None


def on_profit_side(price: Decimal, direction: Direction, entry_price: Decimal) -> bool:
    """Return whether a price in rupees lies beyond the entry, toward profit."""
    return (price - entry_price) * direction.sign > 0


AnyRule = ExitRule[Any]
