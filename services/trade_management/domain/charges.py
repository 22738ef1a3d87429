"""Charges of an order: brokerage, taxes and fees of a segment of an exchange, from effective-dated rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from shared.contracts.vocabulary import Charge, Direction, ProductType
from shared.money import to_paisa, to_rupee


class Side(StrEnum):
    """Side of an order; a row of the schedule may be for BOTH."""

    BUY = "BUY"
    SELL = "SELL"
    BOTH = "BOTH"


class Rounding(StrEnum):
    """Unit for the rounding of a line, half up."""

    PAISA = "PAISA"
    RUPEE = "RUPEE"


Lines = dict[Charge, Decimal]
"""Rupees per line; lines of zero are omitted."""


class Segment(StrEnum):
    """Kind of instrument for the choice of rates."""

    EQUITY = "EQUITY"
    FUTURES = "FUTURES"
    OPTIONS = "OPTIONS"


RATED_AS: Final = {"NFO": "NSE", "BFO": "BSE", "MCX": "MCX", "CDS": "CDS", "BCD": "BCD"}
"""Exchange with the rates, by the exchange of a derivative's symbol."""

CURRENCY_EXCHANGES: Final = frozenset({"CDS", "BCD"})
RUPEE_PAIRS: Final = ("USDINR", "EURINR", "GBPINR", "JPYINR")
"""Beginnings of the names of currency derivatives in rupees. Their exchanges also have pairs without the rupee, with
values in another currency, and interest rate futures, at other rates."""

AGRICULTURAL: Final = ("CARDAMOM", "CASTOR", "COTTON", "CPO", "KAPAS", "MENTHAOIL", "PEPPER", "RBDPMOLEIN", "RUBBER")
"""Beginnings of the names of agricultural contracts of MCX: no transaction tax, other fees than metals and energy."""


@dataclass(frozen=True, slots=True)
class Market:
    """Segment of an exchange, the part of a symbol for the choice of rates."""

    exchange: str
    segment: Segment


@lru_cache(maxsize=10_000)
def market_of(symbol: str) -> Market:
    """Return the market of ``EXCHANGE:TRADINGSYMBOL``; options end with CE or PE, other derivatives are futures.

    No rates are known of the markets of agricultural goods, of interest rates and of pairs without the rupee.
    """
    exchange, _, name = symbol.partition(":")
    if exchange not in RATED_AS or (exchange in CURRENCY_EXCHANGES and not name.startswith(RUPEE_PAIRS)):
        return Market(exchange, Segment.EQUITY)
    if exchange == "MCX" and name.startswith(AGRICULTURAL):
        return Market("MCX agricultural", Segment.FUTURES)
    segment = Segment.OPTIONS if name.endswith(("CE", "PE")) else Segment.FUTURES
    return Market(RATED_AS[exchange], segment)


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
        First day without the row.
    source:
        Publication of the rate.
    """

    market: Market
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
    source: str = ""

    def holds(self, market: Market, product_type: ProductType, day: date) -> bool:
        """Return whether the row applies to the product in the market on the day."""
        return self.market == market and self.product_type is product_type and self.in_force_on(day)

    def in_force_on(self, day: date) -> bool:
        """Return whether the row applies on the day."""
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)

    def amount(self, base: Decimal) -> Decimal:
        """Return rupees for an order with `base` as its value (for GST, as the value of its taxed lines)."""
        raw = base * self.rate + self.flat
        capped = raw if self.maximum is None else min(raw, self.maximum)
        return to_rupee(capped) if self.rounding is Rounding.RUPEE else to_paisa(capped)


@dataclass(frozen=True, slots=True)
class OrderRates:
    """Rates of an order on a day: those of its value, and those of the charges under GST."""

    of_value: tuple[Rate, ...]
    of_taxed: tuple[Rate, ...]

    @classmethod
    def of(cls, in_force: Iterable[Rate], side: Side) -> Self:
        """Return the rates of one side."""
        rates = [rate for rate in in_force if rate.side in (side, Side.BOTH)]
        taxed = tuple(rate for rate in rates if rate.charge is Charge.GST)
        return cls(tuple(rate for rate in rates if rate.charge is not Charge.GST), taxed)


@dataclass(frozen=True, slots=True)
class ChargeSchedule:
    """All rows of the schedule. The rates of an order on a day are looked up once."""

    rates: tuple[Rate, ...]
    _of_day: dict[tuple[str, str, str, date, str], OrderRates | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def in_force(self, market: Market, product_type: ProductType, day: date) -> list[Rate] | None:
        """Return the enabled rows on a day; None without any row, as a day without rates is not one without charges."""
        held = [rate for rate in self.rates if rate.holds(market, product_type, day)]
        return [rate for rate in held if rate.enabled] if held else None

    def order_lines(
        self, market: Market, product_type: ProductType, day: date, side: Side, value: Decimal
    ) -> Lines | None:
        """Return the charges of an order of cumulative `value` rupees, line by line; None if they are unknown."""
        rates = self._order_rates(market, product_type, day, side)
        if rates is None:
            return None
        if not value:
            return {}
        lines: Lines = {rate.charge: rate.amount(value) for rate in rates.of_value}
        taxed = sum([lines[charge] for charge in GST_BASE if charge in lines], Decimal(0))
        lines |= {rate.charge: rate.amount(taxed) for rate in rates.of_taxed}
        return _without_nothing(lines)

    def _order_rates(self, market: Market, product_type: ProductType, day: date, side: Side) -> OrderRates | None:
        key = (market.exchange, market.segment, product_type, day, side)  # texts: their hashes are kept
        if key not in self._of_day:
            in_force = self.in_force(market, product_type, day)
            self._of_day[key] = None if in_force is None else OrderRates.of(in_force, side)
        return self._of_day[key]


def entry_side(direction: Direction) -> Side:
    """Return the side of the entry order."""
    return Side.BUY if direction is Direction.LONG else Side.SELL


def exit_side(direction: Direction) -> Side:
    """Return the side of the exit order."""
    return Side.SELL if direction is Direction.LONG else Side.BUY


def charged_as(product_type: ProductType, entered_on: date, closed_on: date) -> ProductType:
    """Return the product used for a closure's charges: CNC closed on the day of entry is intraday."""
    is_intraday = product_type is ProductType.CNC and closed_on <= entered_on
    return ProductType.MIS if is_intraday else product_type


def added(one: Mapping[Charge, Decimal], other: Mapping[Charge, Decimal]) -> Lines:
    """Return the sum of two orders' charges, line by line."""
    return {charge: one.get(charge, Decimal(0)) + other.get(charge, Decimal(0)) for charge in {**one, **other}}


def difference(after: Mapping[Charge, Decimal], before: Mapping[Charge, Decimal]) -> Lines:
    """Return the charges still to book after an order's lines grew from `before` to `after`."""
    if not before:
        return _without_nothing(dict(after))
    return _without_nothing({charge: amount - before.get(charge, Decimal(0)) for charge, amount in after.items()})


def entry_share(lines: Mapping[Charge, Decimal], closed_before: int, closed_after: int, quantity: int) -> Lines:
    """Return a closure's share of the entry's lines, from `closed_before` to `closed_after` of `quantity`.

    Shares are differences of rounded running totals. The last closure therefore gets the exact remainder, and no
    share is negative.
    """
    before = _running(lines, closed_before, quantity) if closed_before else {}
    return difference(_running(lines, closed_after, quantity), before)


def total(lines: Iterable[Mapping[Charge, Decimal]]) -> Decimal:
    """Return rupees over all lines."""
    return sum([amount for each in lines for amount in each.values()], Decimal(0))


def _running(lines: Mapping[Charge, Decimal], closed: int, quantity: int) -> Lines:
    if closed == quantity:
        return dict(lines)  # order lines are whole paise already
    return {charge: to_paisa(amount * closed / quantity) for charge, amount in lines.items()}


def _without_nothing(lines: Lines) -> Lines:
    return lines if all(lines.values()) else {charge: amount for charge, amount in lines.items() if amount}
