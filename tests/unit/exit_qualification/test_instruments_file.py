"""Instruments files: Kite's 12 columns, and files with fewer or more."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from shared.contracts.instruments import Instrument, read_instruments_csv
from shared.errors import InvalidInput

KITE = """instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,\
tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
5720322,22345,NIFTY26JANFUT,NIFTY,0,2026-01-29,0,0.05,75,FUT,NFO-FUT,NFO
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
1,1,bad symbol,,0,,0,0.05,1,EQ,NSE,NSE
2,2,GOOD,,0,,0,cheap,1,EQ,NSE,NSE
"""


def test_kite_file_is_read_and_non_instrument_lines_are_named() -> None:
    rows = list(read_instruments_csv(KITE.splitlines()))
    assert [row for _, row in rows if isinstance(row, Instrument)] == [
        Instrument(symbol="NSE:INFY", instrument_type="EQ", tick_size=Decimal("0.05"), lot_size=1),
        Instrument(
            symbol="NFO:NIFTY26JANFUT",
            instrument_type="FUT",
            tick_size=Decimal("0.05"),
            lot_size=75,
            expiry=date(2026, 1, 29),
        ),
        Instrument(symbol="NSE:NIFTY 50", instrument_type="EQ"),
    ]
    assert [line for line, row in rows if isinstance(row, InvalidInput)] == [5, 6]


def test_a_file_of_freeze_quantities_needs_no_other_column() -> None:
    (found,) = read_instruments_csv(["exchange,tradingsymbol,freeze_quantity", "NFO,NIFTY26JANFUT,1800"])
    assert found == (2, Instrument(symbol="NFO:NIFTY26JANFUT", freeze_quantity=1800))


def test_a_header_without_the_symbol_is_refused() -> None:
    with pytest.raises(InvalidInput, match="tradingsymbol"):
        list(read_instruments_csv(["symbol,lot_size", "NSE:INFY,1"]))
