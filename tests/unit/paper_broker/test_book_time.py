"""Days, numbers and quotes follow the clock in India."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.paper_broker.book_time import book_day, book_opened_ms, kite_time, number_at, to_ms
from services.paper_broker.kite_format import number
from services.paper_broker.orders import MAX_VALUE_UNITS
from services.paper_broker.quotes import PriceTick, advance, first_quote
from shared.money import from_units

INSTANTS = st.integers(to_ms(datetime(2020, 1, 1, tzinfo=UTC)), to_ms(datetime(2040, 1, 1, tzinfo=UTC)))
NINE_IN_INDIA_MS = to_ms(datetime(2026, 1, 13, 3, 30, tzinfo=UTC))
HOUR_MS = 3_600_000


def test_times_have_19_characters_and_no_zone() -> None:
    assert kite_time(NINE_IN_INDIA_MS) == "2026-01-13 09:00:00"


def test_the_day_book_lasts_until_six_in_the_morning() -> None:
    assert book_day(NINE_IN_INDIA_MS) == book_day(NINE_IN_INDIA_MS + 20 * HOUR_MS) == "2026-01-13"
    assert book_day(NINE_IN_INDIA_MS + 21 * HOUR_MS) == "2026-01-14"


@given(INSTANTS, INSTANTS)
def test_numbers_grow_with_time(one: int, other: int) -> None:
    assert (number_at(one) < number_at(other)) == (one < other)
    assert book_opened_ms(one) <= one


@given(st.integers(0, MAX_VALUE_UNITS))
def test_amounts_survive_the_wire_exactly(units: int) -> None:
    assert from_units(units) == type(from_units(0))(str(number(units)))


def test_a_newer_tick_updates_or_starts_the_day() -> None:
    quote = first_quote(PriceTick("NSE:INFY", 10, NINE_IN_INDIA_MS * 1000, 5))
    higher = advance(quote, PriceTick("NSE:INFY", 12, NINE_IN_INDIA_MS * 1000, 6))
    assert (higher.open_units, higher.high_units, higher.low_units, higher.last_units) == (10, 12, 10, 12)
    tomorrow = advance(higher, PriceTick("NSE:INFY", 9, (NINE_IN_INDIA_MS + 24 * HOUR_MS) * 1000, 0))
    assert (tomorrow.open_units, tomorrow.close_units) == (9, 12)
