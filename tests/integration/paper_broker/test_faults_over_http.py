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
