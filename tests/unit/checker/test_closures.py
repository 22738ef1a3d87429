"""Rule 3: a trade's closures are of its fills, and of no share beyond it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.checker.closures import _within
from services.checker.exit_books import Fill


def fill(nth: int, quantity: int) -> Fill:
    return Fill("order", str(nth), quantity, Decimal(100 + nth))


def test_shares_beyond_a_trade_do_not_count() -> None:
    """Of two orders at once, after a cancel that came too late, the last fill is booked in part."""
    found: list[Any] = [(it.broker_trade_id, it.quantity) for it in _within([fill(1, 10), fill(2, 8), fill(3, 28)], 38)]
    assert found == [("1", 10), ("2", 8), ("3", 20)]
    assert _within([fill(1, 38), fill(2, 8)], 38) == [fill(1, 38)]
