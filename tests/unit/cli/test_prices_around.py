"""`exitflow exits why --at` compares the levels of a trade with the prices of a past time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.cli.support.tapes.prices_around import PricesAround, past_time
from services.replay.tape.recorded import RecordedTick
from shared.errors import InvalidInput

AT = datetime(2026, 1, 13, 4, 35, tzinfo=UTC)
TICKS = [RecordedTick(n, "NSE:INFY", price * 10_000, 0) for n, price in enumerate((1001, 995, 1004, 1002))]


def test_the_prices_are_those_of_the_ticks_in_their_order() -> None:
    found = PricesAround.of(AT, TICKS)
    assert found.ticks == 4
    assert [found.first, found.low, found.high, found.last] == [Decimal(price) for price in (1001, 995, 1004, 1002)]
    assert found.facts()["low"] == "995.00" and found.facts()["since"] == "2026-01-13T04:34:00+00:00"


@pytest.mark.parametrize(
    ("reached", "level", "expected"),
    [
        ("at or below", "995.00", True),
        ("at or below", "994.95", False),
        ("at or above", "1004.00", True),
        ("at or above", "1004.05", False),
        (None, None, None),
    ],
)
def test_level_is_reached_by_price_at_or_beyond_it(reached: Any, level: Any, expected: bool | None) -> None:
    assert PricesAround.of(AT, TICKS).reached({"reached": reached, "level": level}) is expected


def test_without_a_tick_nothing_is_said_about_a_level() -> None:
    found = PricesAround.of(AT, [])
    assert (found.ticks, found.last) == (0, None)
    assert found.reached({"reached": "at or below", "level": Decimal(1)}) is None


@pytest.mark.parametrize("text", ["10:05", "10:05:00", "2026-01-13T10:05:00+05:30", "2026-01-13T04:35:00Z"])
def test_time_without_date_means_today_in_india(text: str) -> None:
    assert past_time(text, datetime(2026, 1, 12, 20, tzinfo=UTC)) == AT


@pytest.mark.parametrize("text", ["soon", "25:00", "2026-01-13T10:05:00", "2026-01-13"])
def test_another_text_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(InvalidInput, match="10:05"):
        past_time(text, AT)
