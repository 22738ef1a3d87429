"""Slices of an order are at most the freeze quantity, add up to the order, and are at most ten."""

from __future__ import annotations

import pytest

from services.paper_broker.kite_errors import KiteError
from services.paper_broker.slicing import refuse_frozen, slices


@pytest.mark.parametrize(
    ("quantity", "freeze_quantity", "expected"),
    [(100, 0, [100]), (100, 100, [100]), (101, 100, [100, 1]), (250, 100, [100, 100, 50]), (1000, 100, [100] * 10)],
)
def test_an_order_is_cut_into_slices(quantity: int, freeze_quantity: int, expected: list[int]) -> None:
    assert slices(quantity, freeze_quantity) == expected


def test_an_eleventh_slice_is_refused() -> None:
    with pytest.raises(KiteError, match="at most 10 slices of 100"):
        slices(1001, 100)


@pytest.mark.parametrize(("quantity", "freeze_quantity"), [(100, 100), (100, 0)])
def test_an_order_up_to_the_freeze_quantity_is_taken(quantity: int, freeze_quantity: int) -> None:
    refuse_frozen(quantity, freeze_quantity)


def test_an_order_beyond_the_freeze_quantity_is_refused() -> None:
    with pytest.raises(KiteError, match="Quantity 101 is beyond the freeze quantity of 100"):
        refuse_frozen(101, 100)
