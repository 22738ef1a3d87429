"""Money is exact at every edge."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.money import from_units, money_text, parse_money, to_paisa, to_rupee, to_units

UNITS = st.integers(-(10**17), 10**17)


@given(UNITS)
def test_units_and_amounts_are_the_same_thing(units: int) -> None:
    assert to_units(from_units(units)) == units


@given(UNITS)
def test_the_wire_form_reads_back_exactly(units: int) -> None:
    assert parse_money(money_text(from_units(units))) == from_units(units)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1010", "1010.00"), ("1010.5", "1010.50"), ("0.0525", "0.0525"), ("-3.1000", "-3.10"), ("1E+3", "1000.00")],
)
def test_the_wire_form_has_at_least_two_decimals(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


@pytest.mark.parametrize("bad", ["", "ten", "NaN", "Infinity", "1.00001", "100000000000000"])
def test_what_cannot_be_kept_exactly_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        parse_money(bad)


def test_rounding_is_half_up() -> None:
    assert to_paisa(Decimal("0.125")) == Decimal("0.13")
    assert to_rupee(Decimal("25.25")) == Decimal("25.00")
    assert to_rupee(Decimal("25.50")) == Decimal("26.00")
