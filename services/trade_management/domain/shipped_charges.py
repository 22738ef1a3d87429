"""The charge schedule shipped in migrations, for calculations without a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from services.trade_management.domain.charges import ChargeSchedule, Market, Rate, Rounding, Segment, Side
from shared.contracts.vocabulary import Charge, ProductType

MIS, CNC, NRML = ProductType.MIS, ProductType.CNC, ProductType.NRML
SHIPPED_FROM: Final = date(2024, 10, 1)
"""First day of the shipped rates."""
STT_RAISED_ON: Final = date(2026, 4, 1)

CURRENCY_STAMP: Final = "0.000001"
BROKER: Final = "zerodha.com/charges"
ACT_2024: Final = "Finance (No. 2) Act 2024"
BUDGET_2026: Final = "Union Budget 2026-27"


def _rate(
    charge: Charge,
    side: Side,
    rate: str,
    maximum: str | None = None,
    flat: str = "0",
    *,
    since: date = SHIPPED_FROM,
    until: date | None = None,
    source: str = BROKER,
) -> Rate:
    """Return a row of NSE equity and MIS; `_all_of` puts it into its market."""
    return Rate(
        market=Market("NSE", Segment.EQUITY),
        product_type=MIS,
        charge=charge,
        side=side,
        rate=Decimal(rate),
        flat=Decimal(flat),
        maximum=None if maximum is None else Decimal(maximum),
        rounding=Rounding.RUPEE if charge is Charge.STT else Rounding.PAISA,
        enabled=charge is not Charge.DEPOSITORY,
        effective_from=since,
        effective_to=until,
        source=source,
    )


def _all_of(market: Market, products: tuple[ProductType, ...], exchange: str, *rates: Rate) -> Iterator[Rate]:
    """Yield the rows of a market; its exchange's fee, SEBI's and GST are alike for all products."""
    common = (
        _rate(Charge.EXCHANGE, Side.BOTH, exchange),
        _rate(Charge.SEBI, Side.BOTH, "0.000001"),
        _rate(Charge.GST, Side.BOTH, "0.18"),
    )
    for product in products:
        for rate in (*common, *rates):
            yield replace(rate, market=market, product_type=product)


def _equity(name: str, exchange: str) -> Iterator[Rate]:
    market = Market(name, Segment.EQUITY)
    yield from _all_of(
        market,
        (MIS,),
        exchange,
        _rate(Charge.BROKERAGE, Side.BOTH, "0.0003", "20"),
        _rate(Charge.STT, Side.SELL, "0.00025"),
        _rate(Charge.STAMP, Side.BUY, "0.00003"),
    )
    yield from _all_of(
        market,
        (CNC,),
        exchange,
        _rate(Charge.BROKERAGE, Side.BOTH, "0"),
        _rate(Charge.STT, Side.BOTH, "0.001"),
        _rate(Charge.STAMP, Side.BUY, "0.00015"),
        _rate(Charge.DEPOSITORY, Side.SELL, "0", flat="15.34"),
    )


def _futures(name: str, exchange: str, *transaction_tax: Rate, stamp_rate: str = "0.00002") -> Iterator[Rate]:
    brokerage, stamp = _rate(Charge.BROKERAGE, Side.BOTH, "0.0003", "20"), _rate(Charge.STAMP, Side.BUY, stamp_rate)
    yield from _all_of(Market(name, Segment.FUTURES), (MIS, NRML), exchange, brokerage, stamp, *transaction_tax)


def _options(name: str, exchange: str, *transaction_tax: Rate, stamp_rate: str = "0.00003") -> Iterator[Rate]:
    brokerage, stamp = _rate(Charge.BROKERAGE, Side.BOTH, "0", flat="20"), _rate(Charge.STAMP, Side.BUY, stamp_rate)
    yield from _all_of(Market(name, Segment.OPTIONS), (MIS, NRML), exchange, brokerage, stamp, *transaction_tax)


def _raised_stt(before: str, after: str) -> tuple[Rate, Rate]:
    return (
        _rate(Charge.STT, Side.SELL, before, until=STT_RAISED_ON, source=ACT_2024),
        _rate(Charge.STT, Side.SELL, after, since=STT_RAISED_ON, source=BUDGET_2026),
    )


SHIPPED: Final = ChargeSchedule(
    (
        *_equity("NSE", "0.0000307"),
        *_equity("BSE", "0.0000375"),
        *_futures("NSE", "0.0000183", *_raised_stt("0.0002", "0.0005")),
        *_futures("BSE", "0", *_raised_stt("0.0002", "0.0005")),
        *_options("NSE", "0.0003553", *_raised_stt("0.001", "0.0015")),
        *_options("BSE", "0.000325", *_raised_stt("0.001", "0.0015")),
        *_futures("MCX", "0.000021", _rate(Charge.STT, Side.SELL, "0.0001")),
        *_options("MCX", "0.000418", _rate(Charge.STT, Side.SELL, "0.0005")),
        *_futures("CDS", "0.0000035", stamp_rate=CURRENCY_STAMP),
        *_options("CDS", "0.000311", stamp_rate=CURRENCY_STAMP),
        *_futures("BCD", "0.0000045", stamp_rate=CURRENCY_STAMP),
        *_options("BCD", "0.00001", stamp_rate=CURRENCY_STAMP),
    )
)
"""Equity of NSE and BSE; futures and options of NSE, BSE and MCX (not agricultural); currencies of NSE and BSE."""


def also_before(schedule: ChargeSchedule) -> ChargeSchedule:
    """Return a schedule with the oldest rates applied to all earlier days too, as an estimate."""
    first = min(rate.effective_from for rate in schedule.rates)
    return ChargeSchedule(
        tuple(
            replace(rate, effective_from=date.min) if rate.effective_from == first else rate for rate in schedule.rates
        )
    )
