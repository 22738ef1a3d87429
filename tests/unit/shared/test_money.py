"""Money is exact at every edge."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.money import (
    from_units,
    market_units,
    money_text,
    parse_market_price,
    parse_money,
    to_paisa,
    to_rupee,
    to_units,
)

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


UNBOUNDED = [
    "", "ten", "NaN", "-NaN", "sNaN", "NaN123", "Infinity", "-Infinity", "100000000000000", "1e14", "1e1000000",
    "-1e1000000", "1e999999999999999999", "9" * 5000, "0." + "9" * 5000, "1_000", " 1", "1 ", "\u0661", "0x10", "1,5",
    float("nan"), float("inf"), float("-inf"), 1e300, 123456789012.25, 10**14, -(10**14), 10**5000, True, False,
    Decimal("NaN"), Decimal("1e1000000"), Decimal("9" * 100_000), Decimal("0e1000000"), None, [], {}, b"1",
]  # fmt: skip


@pytest.mark.parametrize("bad", UNBOUNDED, ids=lambda bad: str(type(bad).__name__))
def test_what_is_not_a_bounded_amount_is_refused_everywhere(bad: Any) -> None:
    for parse in (parse_money, parse_market_price, market_units):
        with pytest.raises(InvalidInput):
            parse(bad)


@pytest.mark.parametrize("bad", ["1.00001", "99999999999999.99999", 0.00001, Decimal("1e-1000000"), "1e-999999"])
def test_money_with_more_decimals_than_are_kept_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_money(bad)


AMOUNTS = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,8})?", fullmatch=True),
    st.integers(),
    st.floats(),
    st.decimals(),
)


@given(AMOUNTS)
def test_any_amount_is_kept_exactly_or_refused(amount: Any) -> None:
    try:
        kept = parse_money(amount)
    except InvalidInput:
        return
    assert kept == Decimal(str(amount))
    assert parse_money(money_text(kept)) == kept


@given(AMOUNTS)
def test_market_price_is_within_half_unit_and_matches_its_units(amount: Any) -> None:
    try:
        kept = parse_market_price(amount)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            market_units(amount)
        return
    assert abs(kept - Decimal(str(amount))) <= Decimal("0.00005")
    assert market_units(amount) == to_units(kept)


@pytest.mark.parametrize("sent", [1520.3500000000001, "1520.3500000000001", "1520.34999999999999", 1520.35, "1520.35"])
def test_price_one_ulp_off_is_read_as_intended_price(sent: Any) -> None:
    assert market_units(sent) == 15_203_500


@pytest.mark.parametrize("zero", ["-0", -0.0, "0e-5", "-0.00000000001"])
def test_nothing_is_never_negative(zero: Any) -> None:
    assert money_text(parse_market_price(zero)) == "0.00"


def test_rounding_is_half_up() -> None:
    assert to_paisa(Decimal("0.125")) == Decimal("0.13")
    assert to_rupee(Decimal("25.25")) == Decimal("25.00")
    assert to_rupee(Decimal("25.50")) == Decimal("26.00")
