"""Faults on request, as the official client meets them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_exceptions

from tests.integration.paper_broker.conftest import RunningBroker
from tests.integration.paper_broker.test_official_client import TAG, limit_order, market_order, the_order
from tests.support.waiting import LIMIT_S, wait_until

DELAY_MS = 3000
"""Longer than a busy machine takes for two requests."""


@pytest.mark.parametrize(
    ("effect", "raised", "code"),
    [
        ({"error_type": "OrderException", "message": "no"}, kite_exceptions.OrderException, 400),
        ({"error_type": "InputException", "message": "no"}, kite_exceptions.InputException, 400),
        ({"error_type": "TokenException", "message": "no"}, kite_exceptions.TokenException, 403),
        ({"error_type": "MarginException", "message": "no"}, kite_exceptions.GeneralException, 400),
        ({"error_type": "NetworkException", "message": "no"}, kite_exceptions.NetworkException, 503),
        (
            {"error_type": "NetworkException", "message": "no", "http_status": 429},
            kite_exceptions.NetworkException,
            429,
        ),
    ],
)
def test_the_next_orders_of_a_symbol_are_refused(
    broker: RunningBroker, kite: KiteConnect, effect: dict[str, Any], raised: type[Exception], code: int
) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "refuse", **effect}, count=2)
    for _ in range(2):
        with pytest.raises(raised, match="no") as refused:
            market_order(kite)
        assert refused.value.code == code  # type: ignore[attr-defined]  # every Kite exception has it
    assert kite.orders() == []
    assert the_order(kite, market_order(kite))["status"] == "COMPLETE"


def test_a_refusal_of_one_symbol_leaves_others_alone(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.fault({"kind": "refuse"}, symbol="NSE:TCS")
    assert market_order(kite)


def test_an_order_can_be_accepted_and_then_rejected(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "reject", "message": "RMS: margin exceeds"})
    order = the_order(kite, market_order(kite))
    assert (order["status"], order["status_message"]) == ("REJECTED", "RMS: margin exceeds")
    assert (order["filled_quantity"], order["pending_quantity"]) == (0, 0)
    assert kite.trades() == []


def test_a_fill_can_be_delayed(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "delay_fill", "ms": DELAY_MS})
    began = time.monotonic()
    order_id = market_order(kite)
    broker.price("NSE:INFY", "1001.00")
    assert the_order(kite, order_id)["status"] == "OPEN"
    wait_until(lambda: the_order(kite, order_id)["status"] == "COMPLETE", "the delayed fill")
    assert time.monotonic() - began >= 0.99 * DELAY_MS / 1000
    assert the_order(kite, order_id)["average_price"] == 1001


def test_a_partial_fill_stays_partial_until_cancelled(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "partial_fill", "quantity": 40})
    order_id = market_order(kite)
    broker.price("NSE:INFY", "1001.00")
    order = the_order(kite, order_id)
    assert (order["status"], order["filled_quantity"], order["pending_quantity"]) == ("OPEN", 40, 60)
    kite.cancel_order("regular", order_id)
    order = the_order(kite, order_id)
    assert (order["status"], order["filled_quantity"], order["cancelled_quantity"]) == ("CANCELLED", 40, 60)


def test_the_rest_of_a_partial_fill_can_follow(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "partial_fill", "quantity": 40, "rest_after_ms": 100})
    order_id = market_order(kite)
    wait_until(lambda: the_order(kite, order_id)["status"] == "COMPLETE", "the rest")
    assert [trade["quantity"] for trade in kite.order_trades(order_id)] == [40, 60]


@pytest.mark.parametrize("timeout_s", [0.1, 5.0])
def test_an_accepted_order_can_go_unanswered(broker: RunningBroker, timeout_s: float) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "drop_answer", "after_ms": 300})
    kite = broker.client(timeout=timeout_s)
    with pytest.raises(requests.exceptions.RequestException):
        market_order(kite)
    wait_until(lambda: [order["status"] for order in broker.client().orders()] == ["COMPLETE"], "it arrives and fills")
    assert [order["tag"] for order in broker.client().orders()] == [TAG]


def test_rules_are_listed_and_removed(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.fault({"kind": "refuse"}, count=None)
    url, headers = f"{broker.url}/paper/faults", {"Authorization": "token key:token"}
    (rule,) = requests.get(url, headers=headers, timeout=LIMIT_S).json()["data"]
    assert (rule["symbol"], rule["remaining"], rule["effect"]["kind"]) == ("NSE:INFY", None, "refuse")
    assert requests.delete(f"{url}/{rule['rule_id']}", headers=headers, timeout=LIMIT_S).status_code == 200
    assert requests.delete(f"{url}/{rule['rule_id']}", headers=headers, timeout=LIMIT_S).status_code == 404
    broker.fault({"kind": "reject"})
    assert requests.delete(url, headers=headers, timeout=LIMIT_S).json()["data"] == {"removed": 1}
    assert limit_order(kite, "BUY", 10)


def test_the_control_surface_needs_the_token_and_a_known_effect(broker: RunningBroker) -> None:
    url = f"{broker.url}/paper/faults"
    assert requests.get(url, timeout=LIMIT_S).json()["error_type"] == "TokenException"
    answer = requests.post(
        url, json={"effect": {"kind": "explode"}}, headers={"Authorization": "token key:token"}, timeout=LIMIT_S
    )
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")


def test_the_broker_cancels_the_unfilled_rest_by_itself(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "partial_fill", "quantity": 40})
    broker.fault({"kind": "cancel_order", "after_ms": 0})
    order_id = market_order(kite)
    wait_until(lambda: the_order(kite, order_id)["status"] == "CANCELLED", "the broker's cancel")
    order = the_order(kite, order_id)
    assert (order["filled_quantity"], order["cancelled_quantity"], order["pending_quantity"]) == (40, 60, 0)


@pytest.mark.parametrize(("quantity", "status", "filled"), [(None, "COMPLETE", 100), (25, "CANCELLED", 65)])
def test_a_cancelled_order_can_fill_after_all(
    broker: RunningBroker, kite: KiteConnect, quantity: int | None, status: str, filled: int
) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "partial_fill", "quantity": 40})
    broker.fault({"kind": "fill_after_cancel", "after_ms": 50, "quantity": quantity})
    order_id = market_order(kite)
    kite.cancel_order("regular", order_id)
    broker.price("NSE:INFY", "1001.00")
    wait_until(lambda: the_order(kite, order_id)["filled_quantity"] == filled, "the fill after the cancel")
    assert the_order(kite, order_id)["status"] == status
    assert [trade["average_price"] for trade in kite.order_trades(order_id)] == [1000, 1001]
    (position,) = kite.positions()["net"]
    assert position["quantity"] == -filled


def test_an_order_can_be_missing_in_the_books(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.price("NSE:INFY", "1000.00")
    broker.fault({"kind": "hide_order", "ms": 1500})
    order_id = market_order(kite)
    assert (kite.orders(), kite.trades()) == ([], [])
    with pytest.raises(kite_exceptions.OrderException, match="order_id"):
        kite.order_history(order_id)
    wait_until(lambda: kite.orders() != [], "the order is shown")
    assert [trade["order_id"] for trade in kite.trades()] == [order_id]


def test_a_session_expires_for_so_many_calls(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.fault({"kind": "expire_session"}, symbol=None, count=2)
    for call in (lambda: market_order(kite), kite.orders):
        with pytest.raises(kite_exceptions.TokenException):
            call()
    assert kite.orders() == []


def test_a_lost_request_is_never_executed(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.fault({"kind": "lose_request", "after_ms": 10, "calls": "place"}, symbol=None)
    assert kite.orders() == []
    with pytest.raises(requests.exceptions.RequestException):
        market_order(kite)
    assert kite.orders() == []
    assert market_order(kite)


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        ("html", kite_exceptions.DataException),
        ("truncated", kite_exceptions.DataException),
        ("cut", requests.exceptions.ChunkedEncodingError),
        ("empty", kite_exceptions.DataException),
        ("no_data", KeyError),
        ("null_data", TypeError),
        ("untyped", KeyError),
    ],
)
def test_an_executed_order_can_be_answered_wrongly(
    broker: RunningBroker, kite: KiteConnect, body: str, raised: type[Exception]
) -> None:
    broker.fault({"kind": "wrong_answer", "body": body, "http_status": 200, "calls": "place"}, symbol=None)
    with pytest.raises(raised):
        market_order(kite)
    assert [order["tag"] for order in kite.orders()] == [TAG]


def test_an_answer_can_be_late_and_in_pieces(broker: RunningBroker) -> None:
    broker.fault({"kind": "slow_answer", "ms": 400, "calls": "books"}, symbol=None)
    with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
        broker.client(timeout=0.1).orders()
    broker.fault({"kind": "slow_answer", "ms": 50, "parts": 5, "calls": "books"}, symbol=None)
    began = time.monotonic()
    assert broker.client(timeout=2).orders() == []
    assert time.monotonic() - began >= 0.2


def test_the_books_can_be_unreadable_while_orders_go_on(broker: RunningBroker, kite: KiteConnect) -> None:
    broker.fault({"kind": "wrong_answer", "calls": "books"}, symbol=None, count=None)
    for _ in range(2):
        with pytest.raises(kite_exceptions.DataException, match="Gateway"):
            kite.orders()
    assert market_order(kite)
    broker.clear_faults()
    assert len(kite.orders()) == 1


def test_faults_of_calls_spare_the_control_api(broker: RunningBroker, kite: KiteConnect) -> None:
    url, headers = f"{broker.url}/paper/faults", {"Authorization": "token key:token"}
    wanted = {"symbol": "NSE:INFY", "effect": {"kind": "expire_session"}}
    assert requests.post(url, json=wanted, headers=headers, timeout=LIMIT_S).status_code == 400
    broker.fault({"kind": "expire_session"}, symbol=None, count=None)
    kite.invalidate_access_token()
    assert len(requests.get(url, headers=headers, timeout=LIMIT_S).json()["data"]) == 1
    broker.clear_faults()
    with pytest.raises(kite_exceptions.TokenException):
        kite.orders()
