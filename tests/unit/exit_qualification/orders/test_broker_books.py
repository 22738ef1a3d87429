"""The view of an intent in one read of both books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.orders.brokers.port import BrokerFill, BrokerOrder, BrokerPort
from services.exit_qualification.orders.reconciling.broker_books import BrokerBooks, read_orders
from shared.contracts.vocabulary import IntentStatus
from tests.unit.exit_qualification.examples import APPROVED_INTENT, NOON, sent_intent

TAG = APPROVED_INTENT.client_order_id


def order(order_id: str, tag: str = TAG, state: OrderState = OrderState.WORKING, filled: int = 0) -> BrokerOrder:
    """An order in the book."""
    return BrokerOrder(order_id, frozenset({tag}), state, None, filled)


def fill(order_id: str, trade_id: str, quantity: int) -> BrokerFill:
    """An execution at 1000."""
    return BrokerFill(order_id, trade_id, "NSE", quantity, Decimal(1000), NOON)


def unknown(**changes: Any) -> Any:
    """An intent without any word of the broker."""
    return sent_intent(IntentStatus.UNKNOWN, **changes)


def test_an_order_is_found_by_its_tag() -> None:
    sighting = BrokerBooks([order("1", tag="OTHER"), order("2")], []).sighting(unknown())
    assert sighting is not None
    assert sighting.order_id == "2"


def test_an_order_with_known_id_is_found_despite_another_tag() -> None:
    sighting = BrokerBooks([order("1", tag="ALTERED")], []).sighting(unknown(broker_order_id="1"))
    assert sighting is not None


def test_an_order_that_is_in_no_book_is_not_sighted() -> None:
    assert BrokerBooks([order("1", tag="OTHER")], [fill("1", "1", 5)]).sighting(unknown()) is None


def test_a_fill_that_the_book_shows_twice_counts_once() -> None:
    books = BrokerBooks([order("1", filled=40)], [fill("1", "7", 40), fill("1", "7", 40), fill("2", "8", 60)])
    sighting = books.sighting(unknown())
    assert sighting is not None
    assert sighting.filled_quantity == 40


def test_an_ended_order_works_until_its_fills_are_known() -> None:
    ended = order("1", state=OrderState.CANCELLED, filled=40)
    behind = BrokerBooks([ended], []).sighting(unknown())
    caught_up = BrokerBooks([ended], [fill("1", "7", 40)]).sighting(unknown())
    assert behind is not None
    assert caught_up is not None
    assert (behind.state, caught_up.state) == (OrderState.WORKING, OrderState.CANCELLED)
    assert not behind.is_working


class Listing:
    """A broker with a book of some length and a list of its reads."""

    def __init__(self, book_size: int) -> None:
        self.book_size = book_size
        self.read: list[str] = []

    def order(self, order_id: str) -> BrokerOrder:
        """Note the read of one order."""
        self.read.append(order_id)
        return order(order_id)

    def orders(self) -> list[BrokerOrder]:
        """Note the read of the book."""
        self.read.append("book")
        return []

    def trades(self) -> list[BrokerFill]:
        """The trade book, empty."""
        return []


@pytest.mark.parametrize(
    ("book_size", "placed", "one_by_one"),
    [(0, 2, True), (0, 3, False), (299, 3, False), (300, 3, True), (5_000, 8, True), (5_000, 9, False)],
)
def test_the_longer_the_book_the_more_orders_are_read_alone(book_size: int, placed: int, one_by_one: bool) -> None:
    broker, order_ids = Listing(book_size), [str(n) for n in range(placed)]
    read_orders(cast("BrokerPort", broker), order_ids)
    assert broker.read == (order_ids if one_by_one else ["book"])
