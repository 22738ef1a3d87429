"""The shipped charges: golden orders of every segment, and days before them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from services.trade_management.domain.charges import Lines, Side, market_of, total
from services.trade_management.domain.shipped_charges import SHIPPED, SHIPPED_FROM, also_before
from shared.contracts.vocabulary import ProductType

MIS, CNC, NRML = ProductType
BUY, SELL = Side.BUY, Side.SELL
NFO_FUTURE, NFO_OPTION = "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE"
BEFORE, AFTER = date(2026, 3, 31), date(2026, 4, 1)


def _lines(symbol: str, product: ProductType, day: date, side: Side, value: str) -> Lines | None:
    return SHIPPED.order_lines(market_of(symbol), product, day, side, Decimal(value))


@pytest.mark.parametrize(
    ("symbol", "product", "day", "side", "value", "charges"),
    [
        # min(0.03 %, 20) + exchange + SEBI, 18 % GST of these, STT and stamp of their side
        ("NSE:INFY", MIS, AFTER, SELL, "101000", "52.38"),  # 20 + 3.10 + 0.10 + 4.18, STT 25
        ("BSE:INFY", CNC, AFTER, BUY, "100000", "119.54"),  # 0 + 3.75 + 0.10 + 0.69, STT 100, stamp 15
        (NFO_FUTURE, NRML, BEFORE, SELL, "1000000", "246.37"),  # 20 + 18.30 + 1 + 7.07, STT 200
        (NFO_FUTURE, MIS, AFTER, SELL, "1000000", "546.37"),
        (NFO_FUTURE, NRML, AFTER, BUY, "1000000", "66.37"),
        (NFO_OPTION, NRML, BEFORE, SELL, "10000", "37.80"),
        (NFO_OPTION, NRML, AFTER, SELL, "10000", "42.80"),
        ("NFO:NIFTY26NOV26000PE", MIS, AFTER, BUY, "10000", "28.10"),
        ("BFO:SENSEX26NOVFUT", NRML, AFTER, SELL, "1000000", "524.78"),
        ("MCX:CRUDEOIL26DECFUT", NRML, AFTER, SELL, "500000", "86.58"),
        ("MCX:CRUDEOIL26DEC5000CE", NRML, AFTER, SELL, "10000", "33.54"),
        # no transaction tax on currencies: 20 + 0.35 + 0.10 + 3.68, stamp 0.10 of the buy side
        ("CDS:USDINR26NOVFUT", NRML, AFTER, SELL, "100000", "24.13"),
        ("CDS:USDINR26NOVFUT", MIS, AFTER, BUY, "100000", "24.23"),
        ("CDS:USDINR26NOV83.25CE", NRML, AFTER, BUY, "10000", "27.29"),  # 20 + 3.11 + 0.01 + 4.16, stamp 0.01
        ("BCD:USDINR26NOVFUT", NRML, AFTER, SELL, "100000", "24.25"),
        ("BCD:USDINR26NOV83.25PE", NRML, AFTER, SELL, "10000", "23.73"),
    ],
)
def test_golden_orders(symbol: str, product: ProductType, day: date, side: Side, value: str, charges: str) -> None:
    lines = _lines(symbol, product, day, side, value)
    assert lines is not None
    assert total([lines]) == Decimal(charges), lines


def test_brokerage_of_options_is_flat_and_of_futures_capped() -> None:
    for symbol, value, brokerage in ((NFO_OPTION, "100", "20"), (NFO_FUTURE, "10000", "3"), (NFO_FUTURE, "1e9", "20")):
        lines = _lines(symbol, NRML, AFTER, BUY, value)
        assert lines is not None
        assert {str(charge): amount for charge, amount in lines.items()}["BROKERAGE"] == Decimal(brokerage)


@pytest.mark.parametrize(
    "symbol",
    [
        "CDS:726GS203326NOVFUT",
        "CDS:EURUSD26NOVFUT",
        "NCO:GOLD26DECFUT",
        "MCX:COTTONCNDY26DECFUT",
        "MCX:MENTHAOIL26DECFUT",
    ],
)
def test_charges_of_a_market_without_rates_are_unknown(symbol: str) -> None:
    assert _lines(symbol, NRML, AFTER, BUY, "100000") is None


def test_every_rate_has_a_source() -> None:
    assert all(rate.source for rate in SHIPPED.rates)


def test_days_before_the_first_rates_are_charged_as_their_first() -> None:
    market, value = market_of("NSE:INFY"), Decimal(100_000)
    before = also_before(SHIPPED).order_lines(market, ProductType.MIS, date(2015, 1, 1), Side.SELL, value)
    assert before == SHIPPED.order_lines(market, ProductType.MIS, SHIPPED_FROM, Side.SELL, value)
