"""Funds of an account, by the ledger's cash, positions and working orders, seen by the official client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_exceptions

from services.paper_broker.positions import Entry
from tests.integration.paper_broker.conftest import RunningBroker, running_broker
from tests.integration.paper_broker.test_official_client import limit_order, market_order, the_order

CASH = 50_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    """A broker with little money, and NSE:INFY at 1000."""
    with running_broker(tmp_path, paper_broker_cash=CASH) as running:
        running.price("NSE:INFY", "1000.00")
        yield running


def net(kite: KiteConnect) -> float:
    """What the account has for new orders."""
    available: float = kite.margins("equity")["net"]
    return available


def refused(kite: KiteConnect, side: str, quantity: int, product: str = "MIS") -> str:
    """The message of a refusal for want of funds; the book shows the order as rejected with it."""
    with pytest.raises(kite_exceptions.GeneralException) as error:  # the client has no MarginException
        market_order(kite, side, quantity, product=product)
    assert error.value.code == 400
    last = kite.orders()[-1]
    assert (last["status"], last["filled_quantity"], last["status_message"]) == ("REJECTED", 0, str(error.value))
    return str(error.value)


def test_order_beyond_funds_is_refused_and_rejected_in_book(kite: KiteConnect) -> None:
    assert refused(kite, "BUY", 251) == (
        "Insufficient funds. Required margin is 50200.00 but available margin is 50000.00. "
        "Check the orderbook for open orders."
    )
    assert "50000.00" in refused(kite, "BUY", 51, "CNC")
    market_order(kite, "BUY", 250)
    assert net(kite) == 0
    assert "available margin is 0.00" in refused(kite, "SELL", 251), "one more than the position opens a short one"
    assert kite.positions()["net"][0]["quantity"] == 250


def test_results_and_closed_positions_free_funds(broker: RunningBroker, kite: KiteConnect) -> None:
    market_order(kite, "BUY", 50, product="CNC")
    assert net(kite) == 0
    broker.price("NSE:INFY", "1010.00")
    market_order(kite, "SELL", 50, product="CNC")
    assert (net(kite), kite.margins()["equity"]["utilised"]["m2m_realised"]) == (50_500, 500)


def test_exit_needs_no_funds_however_short_the_account(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.enter(Entry("trade-1", "PAPER", "NSE:INFY", "MIS", 1000, 10_000_000, broker.desk.records.now_ms()))
    assert net(kite) == CASH - 200_000
    assert "available margin is -150000.00" in refused(kite, "BUY", 1)
    first = limit_order(kite, "SELL", 1010, quantity=600)
    assert "Required margin is 40000.00" in refused(kite, "SELL", 600), "the first order closes 600 of 1000"
    market_order(kite, "SELL", 400)
    broker.price("NSE:INFY", "1010.00")
    assert the_order(kite, first)["status"] == "COMPLETE"
    assert net(kite) == CASH + 6_000


def test_working_orders_hold_funds_until_they_end(kite: KiteConnect) -> None:
    order_id = limit_order(kite, "BUY", 900, quantity=100)
    assert net(kite) == CASH - 18_000
    with pytest.raises(kite_exceptions.GeneralException, match="Required margin is 36000"):
        kite.modify_order(kite.VARIETY_REGULAR, order_id, quantity=300)
    assert the_order(kite, order_id)["quantity"] == 100
    kite.cancel_order(kite.VARIETY_REGULAR, order_id)
    assert net(kite) == CASH


def test_a_trigger_without_funds_places_a_rejected_order(broker: RunningBroker, kite: KiteConnect) -> None:
    order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 60}
    order |= {"order_type": "LIMIT", "product": "CNC", "price": 990}
    kite.place_gtt(kite.GTT_TYPE_SINGLE, "INFY", "NSE", [995], 1000, [order])
    broker.price("NSE:INFY", "995.00")
    (placed,) = kite.orders()
    assert (placed["status"], placed["status_message"][:19]) == ("REJECTED", "Insufficient funds.")
