"""Kite's order and trade books, as the client gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.kite.books import a_list, read_fill, read_fills, read_order, read_orders

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


def test_an_order_without_an_id_is_not_read() -> None:
    with pytest.raises(KeyError):
        read_order({name: value for name, value in ORDER.items() if name != "order_id"})


@pytest.mark.parametrize("data", [{}, None, "orders"])
def test_only_a_list_is_a_book(data: object) -> None:
    with pytest.raises(TypeError):
        a_list(data)


ODD_ORDERS: list[Any] = [
    {**ORDER, "order_id": None},
    {"status": "OPEN"},
    None,
    "text",
]
ODD_FILLS: list[Any] = [
    {**TRADE, "quantity": None},
    {**TRADE, "fill_timestamp": "2026-01-13", "exchange_timestamp": None},
    {**TRADE, "average_price": "n/a"},
    {**TRADE, "trade_id": ""},
    None,
]


def test_odd_rows_of_others_are_skipped() -> None:
    assert read_orders([*ODD_ORDERS, ORDER]) == [read_order(ORDER)]
    assert read_fills([*ODD_FILLS, TRADE]) == [read_fill(TRADE)]


@pytest.mark.parametrize("odd", [{"filled_quantity": None}, {"status": None}, {"filled_quantity": "x"}])
def test_our_order_with_odd_field_is_still_working(odd: dict[str, Any]) -> None:
    (order,) = read_orders([{**ORDER, "status": "COMPLETE"} | odd])
    assert (order.state, order.filled_quantity) == (OrderState.WORKING, 0)


def test_times_come_as_text() -> None:
    assert read_fill({**TRADE, "fill_timestamp": "2026-01-13 09:15:01"}) == read_fill(TRADE)
