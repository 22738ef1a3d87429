"""No window of a second, a minute or a day has more orders than its limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.paper_broker.kite_errors import KiteError
from services.paper_broker.order_rates import OrderLimits, OrderRates

NOON_MS = 1_768_284_000_000
MIDNIGHT_MS = 1_768_242_600_000 + 86_400_000
"""The next midnight in India."""


def taken(rates: OrderRates, at_ms: int, before: int = 0) -> bool:
    """Whether an order was counted."""
    try:
        rates.take("PAPER", at_ms, lambda _: before)
    except KiteError as error:
        assert (error.error_type, error.status) == ("NetworkException", 429)
        return False
    return True


@given(st.lists(st.integers(0, 700), max_size=80))
def test_no_window_has_more_orders_than_its_limit(pauses: list[int]) -> None:
    rates, at_ms, accepted = OrderRates(OrderLimits(3, 12, 1000)), NOON_MS, list[int]()
    for pause in pauses:
        at_ms += pause
        in_second = sum(at_ms - it < 1000 for it in accepted)
        in_minute = sum(at_ms - it < 60_000 for it in accepted)
        is_taken = taken(rates, at_ms)
        assert is_taken == (in_second < 3 and in_minute < 12)
        accepted += [at_ms] * is_taken


def test_the_day_counts_the_ledger_until_midnight() -> None:
    rates = OrderRates(OrderLimits(100, 1000, 5))
    assert [taken(rates, MIDNIGHT_MS - 1000, before=3) for _ in range(3)] == [True, True, False]
    assert taken(rates, MIDNIGHT_MS)


def test_accounts_have_limits_of_their_own() -> None:
    rates = OrderRates(OrderLimits(1, 10, 10))
    rates.take("A", NOON_MS, lambda _: 0)
    rates.take("B", NOON_MS, lambda _: 0)
    with pytest.raises(KiteError, match="at most 1 orders a second"):
        rates.take("A", NOON_MS, lambda _: 0)
