"""Kite's order and trade books, as the client gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.kite.books import a_list, read_fill, read_order

ORDER: dict[str, Any] = {
    "order_id": "220303000308932",
    "status": "OPEN",
    "status_message": None,
    "filled_quantity": 0,
    "tag": "TAG1",
    "tags": ["TAG1", "TAG2"],
}
TRADE: dict[str, Any] = {
    "order_id": "220303000308932",
    "trade_id": "10000000",
    "exchange": "NSE",
    "quantity": 3,
    "average_price": 420.65,
    "fill_timestamp": datetime(2026, 1, 13, 9, 15, 1),  # noqa: DTZ001  # naive, as the client has it
}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("COMPLETE", OrderState.COMPLETE),
        ("CANCELLED", OrderState.CANCELLED),
        ("REJECTED", OrderState.REJECTED),
        ("OPEN", OrderState.WORKING),
        ("PUT ORDER REQ RECEIVED", OrderState.WORKING),
        ("TRIGGER PENDING", OrderState.WORKING),
        ("UPDATE", OrderState.WORKING),
        ("SOMETHING NEW", OrderState.WORKING),
    ],
)
def test_a_status_that_is_not_known_is_a_working_one(status: str, state: OrderState) -> None:
    assert read_order({**ORDER, "status": status}).state is state


def test_an_order_is_found_under_every_tag() -> None:
    assert read_order(ORDER).tags == {"TAG1", "TAG2"}
    assert read_order({**ORDER, "tags": None}).tags == {"TAG1"}
    assert read_order({**ORDER, "tag": None, "tags": []}).tags == frozenset()


def test_times_of_india_become_utc_and_prices_stay_exact() -> None:
    fill = read_fill(TRADE)
    assert fill.filled_at == datetime(2026, 1, 13, 3, 45, 1, tzinfo=UTC)
    assert fill.price == Decimal("420.65")


@pytest.mark.parametrize("missing", ["order_id", "status", "filled_quantity"])
def test_an_order_without_what_decides_is_not_read(missing: str) -> None:
    with pytest.raises(KeyError):
        read_order({name: value for name, value in ORDER.items() if name != missing})


@pytest.mark.parametrize("data", [{}, None, "orders"])
def test_only_a_list_is_a_book(data: object) -> None:
    with pytest.raises(TypeError):
        a_list(data)
