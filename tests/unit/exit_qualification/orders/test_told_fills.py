from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.exit_qualification.orders.reconciling.told_fills import told
from shared.contracts.exits import Fill


@given(st.lists(st.integers(1, 50), max_size=6), st.integers(0, 200))
def test_told_fills_are_the_first_shares(quantities: list[int], most: int) -> None:
    at = datetime(2026, 1, 13, tzinfo=UTC)
    fills = [
        Fill(broker_order_id="1", broker_trade_id=str(nth), quantity=quantity, price=Decimal(1000), filled_at=at)
        for nth, quantity in enumerate(quantities)
    ]
    parts = told(fills, most)
    assert sum(part.quantity for part in parts) == min(most, sum(quantities))
    assert all(part.quantity > 0 for part in parts)
    assert parts[:-1] == fills[: len(parts[:-1])]
