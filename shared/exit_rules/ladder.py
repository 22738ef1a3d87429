"""Target ladder: several targets of one trade, each for a part of its quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.vocabulary import Direction
from shared.exit_rules.prices import Price
from shared.exit_rules.rule import PlanPart, on_profit_side
from shared.exit_rules.scale import PlanScale
from shared.money import Money, money_text

MOST_LEGS = 20
LegNumber = Annotated[int, Field(ge=1, le=MOST_LEGS)]


class TargetLeg(PlanPart):
    """One leg: at or beyond `price`, exit `quantity`, or `percent` of the trade's whole quantity.

    A percentage is made a quantity when the trade is opened or the plan is changed.
    """

    price: Price
    quantity: Annotated[int, Field(strict=True, gt=0, le=10**12)] | None = None
    percent: Annotated[Money, Field(gt=Decimal(0), le=Decimal(100))] | None = None

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        if (self.quantity is None) is (self.percent is None):
            raise ValueError("a leg of targets needs `quantity` or `percent`, not both")
        return self


class AfterLeg(PlanPart):
    """Change of the plan once a leg is filled: the stop moves to the entry price (`break_even`) or to a price."""

    stop: Literal["break_even"] | Price

    def stop_price(self, entry_price: Decimal) -> Decimal:
        """Return the new stop in rupees."""
        return entry_price if self.stop == "break_even" else Decimal(self.stop)


Targets = Annotated[tuple[TargetLeg, ...], Field(min_length=1, max_length=MOST_LEGS)]
AfterLegs = Annotated[dict[LegNumber, AfterLeg], Field(min_length=1)]


def sized(targets: Sequence[TargetLeg], quantity: int, lot: int = 1) -> tuple[TargetLeg, ...]:
    """Return the legs with percentages as quantities, rounded down to whole lots.

    Where all legs are percentages with a sum of 100, the last leg takes the rest after the others. A leg below one
    lot keeps its percentage.
    """
    legs = [_sized(leg, quantity, lot) for leg in targets]
    if all(leg.percent is not None for leg in targets) and _percents(targets) == 100:  # the whole
        others = sum(leg.quantity or 0 for leg in legs[:-1])
        legs[-1] = _of_quantity(targets[-1], quantity - others)
    return tuple(legs)


def ladder_contradictions(
    targets: Sequence[TargetLeg], after: Mapping[int, AfterLeg], direction: Direction, entry_price: Decimal
) -> Iterator[str]:
    """Yield faults in the order of the legs and of the stops after them."""
    for number, (near, far) in enumerate(pairwise(targets), 2):
        if not on_profit_side(far.price, direction, near.price):
            yield (
                f"targets: leg {number} at {money_text(far.price)} is not beyond leg {number - 1} at "
                f"{money_text(near.price)}; nearest first"
            )
    for number, change in sorted(after.items()):
        if number > len(targets):
            yield f"after_leg {number}: the plan has {len(targets)} legs in `targets`"
            continue
        stop, price = change.stop_price(entry_price), targets[number - 1].price
        if not on_profit_side(price, direction, stop):
            yield (
                f"after_leg {number}: a stop at {money_text(stop)} would exit at once at the leg's price "
                f"{money_text(price)}"
            )


def size_contradictions(targets: Sequence[TargetLeg], quantity: int, lot: int) -> Iterator[str]:
    """Yield what is wrong with the quantities of sized legs; the last of a whole trade is what the others leave."""
    total = sum(leg.quantity or 0 for leg in targets)
    for number, leg in enumerate(targets, 1):
        if leg.quantity is None:
            share = money_text(leg.percent or Decimal(0))
            yield f"targets: leg {number}, {share} % of {quantity}, is less than one lot of {lot}"
        elif leg.quantity % lot and (number < len(targets) or total < quantity):
            yield f"targets: leg {number} of {leg.quantity} is not a multiple of the lot size {lot}"
    if total > quantity:
        yield f"targets: the legs are of {total}, more than the trade's {quantity}"


def scaled_legs(targets: Sequence[TargetLeg], scale: PlanScale) -> tuple[TargetLeg, ...]:
    """Return the legs at their new prices and quantities; a percentage stays."""
    return tuple(
        TargetLeg(
            price=scale.level(leg.price),
            quantity=None if leg.quantity is None else scale.leg_quantity(number, leg.quantity),
            percent=leg.percent,
        )
        for number, leg in enumerate(targets, 1)
    )


def scaled_after_legs(after: Mapping[int, AfterLeg], scale: PlanScale) -> dict[int, AfterLeg]:
    """Return the changes with their stops at the new prices."""
    return {
        leg: AfterLeg(stop=scale.level(change.stop)) if isinstance(change.stop, Decimal) else change
        for leg, change in after.items()
    }


def read_targets(text: str) -> list[dict[str, Any]]:
    """Return the legs in ``PRICE:QUANTITY,PRICE:PERCENT%``, as in a plan's JSON.

    Raises
    ------
    ValueError
        The text has another form.
    """
    legs: list[dict[str, Any]] = []
    for item in text.split(","):
        price, colon, size = item.strip().partition(":")
        if not colon or not price or not size:
            raise ValueError(f"{item.strip()!r} is not PRICE:QUANTITY or PRICE:PERCENT%, e.g. 1010:50 or 1010:25%")
        legs.append({"price": price, "percent": size[:-1]} if size.endswith("%") else _leg(price, size))
    return legs


def read_after_legs(text: str) -> dict[str, Any]:
    """Return the changes in ``LEG:break_even,LEG:PRICE``, as in a plan's JSON.

    Raises
    ------
    ValueError
        The text has another form.
    """
    after: dict[str, Any] = {}
    for item in text.split(","):
        leg, colon, stop = item.strip().partition(":")
        if not colon or not leg.isdecimal() or not stop:
            raise ValueError(f"{item.strip()!r} is not LEG:break_even or LEG:PRICE, e.g. 1:break_even or 2:1010")
        after[leg] = {"stop": stop}
    return after


def _leg(price: str, size: str) -> dict[str, Any]:
    if not size.isdecimal():
        raise ValueError(f"{size!r} is not a quantity; write a whole number, or a percentage as 25%")
    return {"price": price, "quantity": int(size)}


def _sized(leg: TargetLeg, quantity: int, lot: int) -> TargetLeg:
    if leg.percent is None:
        return leg
    return _of_quantity(leg, int(quantity * leg.percent / 100) // lot * lot)


def _of_quantity(leg: TargetLeg, quantity: int) -> TargetLeg:
    return TargetLeg(price=leg.price, quantity=quantity) if quantity > 0 else leg


def _percents(targets: Sequence[TargetLeg]) -> Decimal:
    return sum((leg.percent or Decimal(0) for leg in targets), Decimal(0))
