"""Adoption of foreign fills: never more than is missing, left of a fill, or open of a trade."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.exit_qualification.domain.external_fills import (
    ForeignFill,
    HeldTrade,
    adopt,
    expected_quantity,
    missing_quantity,
)
from services.exit_qualification.domain.order_terms import OrderSide, reducing_side
from shared.contracts.vocabulary import Direction

NOON = datetime(2026, 1, 13, 6, 30, tzinfo=UTC)
times = st.integers(0, 20_000).map(lambda ms: NOON + timedelta(milliseconds=ms))
trades = st.lists(
    st.builds(
        HeldTrade,
        trade_id=st.integers(1, 40).map(lambda number: UUID(int=number)),
        direction=st.sampled_from(Direction),
        remaining=st.integers(0, 50),
        entered_at=times,
    ),
    max_size=6,
    unique_by=lambda trade: trade.trade_id,
)
fills = st.lists(
    st.builds(
        ForeignFill,
        order_id=st.sampled_from(["1", "2"]),
        trade_id=st.integers(1, 40).map(str),
        exchange=st.just("NSE"),
        side=st.sampled_from(OrderSide),
        left=st.integers(1, 60),
        price=st.just(Decimal(1000)),
        filled_at=times.map(lambda at: at.replace(microsecond=0)),
        pieces=st.integers(0, 2),
    ),
    max_size=6,
    unique_by=lambda fill: fill.trade_id,
)


@settings(max_examples=60)
@given(trades, fills, st.integers(0, 200))
def test_nothing_is_adopted_beyond_what_is_missing_left_and_open(
    held: list[HeldTrade], executed: list[ForeignFill], missing: int
) -> None:
    adopted = adopt(held, executed, missing)
    of_trade, of_fill = Counter[UUID](), Counter[str]()
    for each in adopted:
        assert each.quantity > 0
        of_trade[each.trade_id] += each.quantity
        of_fill[each.fill.trade_id] += each.quantity
    by_id, by_fill = {trade.trade_id: trade for trade in held}, {fill.trade_id: fill for fill in executed}
    assert sum(of_trade.values()) <= missing
    assert all(quantity <= by_id[trade_id].remaining for trade_id, quantity in of_trade.items())
    assert all(quantity <= by_fill[trade_id].left for trade_id, quantity in of_fill.items())
    assert len({(each.fill.order_id, each.broker_trade_id) for each in adopted}) == len(adopted)
    net = expected_quantity(held)
    for each in adopted:
        trade = by_id[each.trade_id]
        assert trade.direction.sign * net > 0
        assert each.fill.side is reducing_side(trade.direction)
        assert each.fill.filled_at >= trade.entered_at.replace(microsecond=0)


@settings(max_examples=60)
@given(trades, fills)
def test_all_that_could_be_adopted_is_adopted(held: list[HeldTrade], executed: list[ForeignFill]) -> None:
    """With everything missing and every fill after every entry, only quantities limit."""
    late = [replace(fill, filled_at=NOON + timedelta(hours=1)) for fill in executed]
    net = expected_quantity(held)
    direction = Direction.LONG if net > 0 else Direction.SHORT
    open_ = sum(trade.remaining for trade in held if trade.direction is direction) if net else 0
    filled = sum(fill.left for fill in late if fill.side is reducing_side(direction))
    assert sum(each.quantity for each in adopt(held, late, 10**9)) == min(open_, filled)


@settings(max_examples=60)
@given(st.integers(-100, 100), st.integers(-100, 100))
def test_position_is_missing_only_up_to_expected_quantity(expected: int, position: int) -> None:
    missing = missing_quantity(expected, position)
    assert 0 <= missing <= abs(expected)
    assert missing == missing_quantity(-expected, -position)
    if expected > 0:
        assert missing == expected - min(expected, max(0, position))
