"""When the day of a broker's books ends."""

from __future__ import annotations

from datetime import datetime

import pytest

from services.exit_qualification.orders.brokers.kite.day import KITE_DAY
from shared.clock import TRADING_ZONE


@pytest.mark.parametrize(
    ("instant", "end"),
    [
        ("2026-01-13T05:59:59.999", "2026-01-13T06:00:00"),
        ("2026-01-13T06:00:00", "2026-01-14T06:00:00"),
        ("2026-01-13T23:30:00", "2026-01-14T06:00:00"),
        ("2026-01-31T12:00:00", "2026-02-01T06:00:00"),
    ],
)
def test_the_day_of_kite_ends_at_six_in_india(instant: str, end: str) -> None:
    at, ends = (datetime.fromisoformat(text).replace(tzinfo=TRADING_ZONE) for text in (instant, end))
    assert KITE_DAY.ends_after(at) == ends
