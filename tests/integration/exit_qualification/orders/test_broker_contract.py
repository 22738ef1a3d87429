"""The contract of every broker port: the scripted one and the Kite adapter, on the real paper broker, both keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.kite.clients import Credentials, KiteBrokers
from services.exit_qualification.orders.brokers.port import (
    NO_ANSWER,
    Accepted,
    Ambiguous,
    BrokerOrder,
    BrokerPort,
    BrokerPosition,
    BrokerUnavailable,
    ExitOrder,
    NotAccepted,
    StopOrder,
)
from shared.broker_hosts import BrokerHosts
from shared.clock import SystemClock
from shared.contracts.vocabulary import ProductType
from shared.runtime.health import Health
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.paper_broker.conftest import ACCESS_TOKEN, API_KEY, running_broker

ORDER = ExitOrder("TAG00000000000000001", "NSE", "INFY", OrderSide.SELL, 100, ProductType.MIS)


class Market(Protocol):
    """The broker behind a port, as far as a test can move it."""

    def price(self, symbol: str, price: str) -> None:
        """The market trades a symbol at a price."""
        ...

    def fault(self, effect: dict[str, Any]) -> None:
        """The next order meets an effect."""
        ...


@dataclass
class Venue:
    """A port and the market behind it."""

    port: BrokerPort
    market: Market

    def place(self, order: ExitOrder = ORDER) -> str:
        """Place an order to be accepted; its id."""
        outcome = self.port.place_market_exit(order)
        assert isinstance(outcome, Accepted)
        return outcome.order_id

    def order(self, order_id: str) -> BrokerOrder:
        """An order in the book."""
        return next(order for order in self.port.orders() if order.order_id == order_id)


def kite_port(root_url: str, timeout_s: float = 5.0, hosts: str = "127.0.0.1") -> BrokerPort:
    """The Kite adapter for the paper broker's account."""
    user_broker = UserBroker("paper", "kite", "PAPER", root_url, BrokerStatus.CONNECTED)
    return kite_brokers(hosts, timeout_s).port(user_broker)


def kite_brokers(hosts: str, timeout_s: float = 5.0, health: Health | None = None) -> KiteBrokers:
    """Ports with the paper broker's credentials, for these hosts."""
    credentials = Credentials(api_key=API_KEY, access_token=SecretStr(ACCESS_TOKEN))
    return KiteBrokers({"paper": credentials}, BrokerHosts.of(hosts), timeout_s, health or Health())


@pytest.fixture(params=["scripted", "kite"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Venue]:
    """A venue with an empty book."""
    if request.param == "scripted":
        scripted = ScriptedBroker()
        yield Venue(scripted, scripted)
        return
    with running_broker(tmp_path) as paper:
        yield Venue(kite_port(paper.url), paper)


def test_a_market_order_fills_and_both_books_show_it(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1520.35")
    order = venue.order(venue.place())
    assert (order.state, order.filled_quantity, order.tags) == (OrderState.COMPLETE, 100, frozenset({ORDER.tag}))
    (fill,) = venue.port.trades()
    assert (fill.order_id, fill.exchange, fill.quantity) == (order.order_id, "NSE", 100)
    assert fill.price == Decimal("1520.35")
    assert fill.filled_at.tzinfo is UTC
    assert abs(SystemClock().now() - fill.filled_at) < timedelta(minutes=1)


def test_an_order_without_a_market_works_until_it_is_cancelled(venue: Venue) -> None:
    order_id = venue.place()
    assert venue.order(order_id).state is OrderState.WORKING
    venue.port.cancel(order_id)
    assert venue.order(order_id).state is OrderState.CANCELLED


def test_positions_are_net_of_fills_and_fills_show_trading(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1520.35")
    venue.place()
    (fill,) = venue.port.trades()
    assert (fill.symbol, fill.product_type, fill.side) == ("NSE:INFY", "MIS", "SELL")
    for delivery in (False, True):
        assert venue.port.positions(delivery=delivery) == [BrokerPosition("NSE:INFY", "MIS", -100)]


@pytest.mark.parametrize(
    "fault", [{"error_type": "NetworkException", "http_status": 429}, {"error_type": "TokenException"}]
)
def test_rate_limit_and_expired_token_mean_nothing_was_accepted(venue: Venue, fault: dict[str, Any]) -> None:
    venue.market.fault({"kind": "refuse", "message": "no", **fault})
    assert isinstance(venue.port.place_market_exit(ORDER), NotAccepted)
    assert venue.port.orders() == []


@pytest.mark.parametrize(
    ("fault", "code", "refused"),
    [
        ({"error_type": "OrderException"}, "OrderException", True),
        ({"error_type": "InputException"}, "InputException", True),
        ({"error_type": "MarginException"}, "GeneralException", True),
        ({"error_type": "PermissionException"}, "PermissionException", True),
        ({"error_type": "OrderException", "message": "Gateway timed out."}, NO_ANSWER, False),
        ({"error_type": "NetworkException"}, NO_ANSWER, False),
        ({"error_type": "DataException"}, NO_ANSWER, False),
        ({"error_type": "GeneralException", "http_status": 500}, NO_ANSWER, False),
    ],
)
def test_other_errors_are_ambiguous_and_definite_ones_are_marked(
    venue: Venue, fault: dict[str, Any], code: str, refused: bool
) -> None:
    complete = {"kind": "refuse", "message": "no", "http_status": STATUS[fault["error_type"]], **fault}
    venue.market.fault(complete)
    outcome = venue.port.place_market_exit(ORDER)
    assert isinstance(outcome, Ambiguous)
    assert (outcome.code, outcome.message, outcome.refused) == (code, complete["message"], refused)


STATUS = {
    "OrderException": 400,
    "InputException": 400,
    "MarginException": 400,
    "PermissionException": 403,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}


def test_an_accepted_order_can_be_rejected_in_the_book(venue: Venue) -> None:
    venue.market.fault({"kind": "reject", "message": "RMS: margin exceeds"})
    order = venue.order(venue.place())
    assert (order.state, order.status_message) == (OrderState.REJECTED, "RMS: margin exceeds")


def test_an_order_with_lost_answer_is_found_by_tag(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1000.00")
    venue.market.fault({"kind": "drop_answer", "after_ms": 0})
    outcome = venue.port.place_market_exit(ORDER)
    assert isinstance(outcome, Ambiguous)
    assert (outcome.code, outcome.refused) == (NO_ANSWER, False)
    found = venue.port.order_by_tag(ORDER.tag)
    assert found is not None
    assert found.state is OrderState.COMPLETE


def test_a_cancelled_order_keeps_what_it_filled(venue: Venue) -> None:
    venue.market.fault({"kind": "partial_fill", "quantity": 40})
    order_id = venue.place()
    venue.market.price("NSE:INFY", "1000.00")
    assert (venue.order(order_id).state, venue.order(order_id).filled_quantity) == (OrderState.WORKING, 40)
    venue.port.cancel(order_id)
    assert (venue.order(order_id).state, venue.order(order_id).filled_quantity) == (OrderState.CANCELLED, 40)
    assert [fill.quantity for fill in venue.port.trades()] == [40]


def test_a_tag_that_was_never_sent_is_not_found(venue: Venue) -> None:
    venue.place()
    assert venue.port.order_by_tag("ANOTHERTAG0000000001") is None


def test_an_order_that_has_ended_cannot_be_cancelled(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1000.00")
    with pytest.raises(BrokerUnavailable):
        venue.port.cancel(venue.place())


def test_a_stop_waits_for_its_trigger_and_fills_beyond_it(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1000.00")
    outcome = venue.port.place_stop(StopOrder(ORDER, Decimal("990.05")))
    assert isinstance(outcome, Accepted)
    waiting = venue.order(outcome.order_id)
    assert (waiting.awaits_trigger, waiting.was_triggered, waiting.trigger_price) == (True, False, Decimal("990.05"))
    assert (waiting.quantity, waiting.tags) == (100, frozenset({ORDER.tag}))
    venue.market.price("NSE:INFY", "970.35")
    filled = venue.order(outcome.order_id)
    assert (filled.awaits_trigger, filled.was_triggered, filled.filled_quantity) == (False, True, 100)
    assert [fill.price for fill in venue.port.trades()] == [Decimal("970.35")]


def test_a_waiting_stop_can_be_changed_until_it_is_cancelled(venue: Venue) -> None:
    venue.market.price("NSE:INFY", "1000.00")
    outcome = venue.port.place_stop(StopOrder(ORDER, Decimal(990)))
    assert isinstance(outcome, Accepted)
    venue.port.change_stop(outcome.order_id, 40, Decimal("995.55"))
    changed = venue.order(outcome.order_id)
    assert (changed.awaits_trigger, changed.quantity, changed.trigger_price) == (True, 40, Decimal("995.55"))
    venue.port.cancel(outcome.order_id)
    cancelled = venue.order(outcome.order_id)
    assert (cancelled.state, cancelled.awaits_trigger) == (OrderState.CANCELLED, False)
    with pytest.raises(BrokerUnavailable):
        venue.port.change_stop(outcome.order_id, 40, Decimal(994))
