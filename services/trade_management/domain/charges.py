"""Charges of an order: brokerage, taxes and fees of NSE equity, from effective-dated rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from shared.contracts.vocabulary import Direction, ProductType
from shared.errors import ConfigurationError
from shared.money import to_paisa, to_rupee


class Charge(StrEnum):
    """Lines of a contract note."""

    BROKERAGE = "BROKERAGE"
    STT = "STT"
    EXCHANGE = "EXCHANGE"
    SEBI = "SEBI"
    STAMP = "STAMP"
    GST = "GST"
    DEPOSITORY = "DEPOSITORY"


class Leg(StrEnum):
    """Entry or exit side of a trade, for a charge line."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class Side(StrEnum):
    """Side of an order; a row of the schedule may be for BOTH."""

    BUY = "BUY"
    SELL = "SELL"
    BOTH = "BOTH"


class Rounding(StrEnum):
    """Unit to which a line is rounded, half up."""

    PAISA = "PAISA"
    RUPEE = "RUPEE"


Lines = dict[Charge, Decimal]
"""Rupees per line; lines of zero are omitted."""

GST_BASE = (Charge.BROKERAGE, Charge.EXCHANGE, Charge.SEBI)


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the schedule.

    Attributes
    ----------
    rate:
        Share of the order's value; for GST, of brokerage + exchange + SEBI.
    flat:
        Rupees per order on top.
    maximum:
        Maximum of the line per order, in rupees.
    effective_to:
        First day on which the row no longer applies.
    """

    product_type: ProductType
    charge: Charge
    side: Side
    rate: Decimal
    flat: Decimal
    maximum: Decimal | None
    rounding: Rounding
    enabled: bool
    effective_from: date
    effective_to: date | None = None

    def holds(self, product_type: ProductType, day: date) -> bool:
        """Return whether the row applies to the product on the day."""
        began = self.effective_from <= day
        return self.product_type is product_type and began and (self.effective_to is None or day < self.effective_to)

    def amount(self, base: Decimal) -> Decimal:
        """Return rupees for an order whose value (for GST, whose taxed lines) is `base`."""
        raw = base * self.rate + self.flat
        capped = raw if self.maximum is None else min(raw, self.maximum)
        return to_rupee(capped) if self.rounding is Rounding.RUPEE else to_paisa(capped)


@dataclass(frozen=True, slots=True)
class ChargeSchedule:
    """All rows of the schedule. What is in force on a day is looked up once."""

    rates: tuple[Rate, ...]
    _of_day: dict[tuple[ProductType, date], list[Rate]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def in_force(self, product_type: ProductType, day: date) -> list[Rate]:
        """Return the enabled rows for a product on a day.

        Raises
        ------
        ConfigurationError
            No row applies. A day without rates is a gap in the data, not a day without charges.
        """
        found = self._of_day.get((product_type, day))
        if found is None:
            held = [rate for rate in self.rates if rate.holds(product_type, day)]
            if not held:
                raise ConfigurationError(f"no charge schedule for {product_type} on {day}")
            found = self._of_day[product_type, day] = [rate for rate in held if rate.enabled]
        return found

    def order_lines(self, product_type: ProductType, day: date, side: Side, value: Decimal) -> Lines:
        """Return the charges of an order of cumulative `value` rupees, line by line."""
        if not value:
            return {}
        rates = [rate for rate in self.in_force(product_type, day) if rate.side in (side, Side.BOTH)]
        lines: Lines = {rate.charge: rate.amount(value) for rate in rates if rate.charge is not Charge.GST}
        taxed = sum((lines.get(charge, Decimal(0)) for charge in GST_BASE), Decimal(0))
        lines |= {rate.charge: rate.amount(taxed) for rate in rates if rate.charge is Charge.GST}
        return _without_nothing(lines)


def entry_side(direction: Direction) -> Side:
    """Return the side of the entry order."""
    return Side.BUY if direction is Direction.LONG else Side.SELL


def exit_side(direction: Direction) -> Side:
    """Return the side of the exit order."""
    return Side.SELL if direction is Direction.LONG else Side.BUY


def charged_as(product_type: ProductType, entered_on: date, closed_on: date) -> ProductType:
    """Return the product used for a closure's charges: CNC closed on the day of entry is intraday."""
    return ProductType.CNC if product_type is ProductType.CNC and closed_on > entered_on else ProductType.MIS


def difference(after: Mapping[Charge, Decimal], before: Mapping[Charge, Decimal]) -> Lines:
    """Return the charges still to book after an order's lines grew from `before` to `after`."""
    return _without_nothing({charge: amount - before.get(charge, Decimal(0)) for charge, amount in after.items()})


def entry_share(lines: Mapping[Charge, Decimal], closed_before: int, closed_after: int, quantity: int) -> Lines:
    """Return a closure's share of the entry's lines, from `closed_before` to `closed_after` of `quantity`.

    Shares are differences of rounded running totals. The last closure therefore gets the exact remainder, and no
    share is negative.
    """
    return difference(_running(lines, closed_after, quantity), _running(lines, closed_before, quantity))


def total(lines: Iterable[Mapping[Charge, Decimal]]) -> Decimal:
    """Return rupees over all lines."""
    return sum((amount for each in lines for amount in each.values()), Decimal(0))


def _running(lines: Mapping[Charge, Decimal], closed: int, quantity: int) -> Lines:
    return {charge: to_paisa(amount * closed / quantity) for charge, amount in lines.items()}


def _without_nothing(lines: Lines) -> Lines:
    return {charge: amount for charge, amount in lines.items() if amount}
