"""Stop orders and triggers (GTT) of the official kiteconnect client, unchanged."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_exceptions

from tests.integration.paper_broker.conftest import RunningBroker, running_broker
from tests.integration.paper_broker.test_official_client import market_order, the_order
from tests.support.waiting import wait_until


def stop_order(kite: KiteConnect, side: str = "SELL", trigger: float = 990, **changes: Any) -> str:
    """Place an SL-M order of INFY; with a `price`, an SL order."""
    order_type = kite.ORDER_TYPE_SL if "price" in changes else kite.ORDER_TYPE_SLM
    return market_order(kite, side, **{"order_type": order_type, "trigger_price": trigger, **changes})


def place_gtt(kite: KiteConnect, *triggers: float, quantity: int = 100, price: float = 985) -> int:
    """Place a trigger of INFY with one leg for each trigger price, all of them sales."""
    kind = kite.GTT_TYPE_SINGLE if len(triggers) == 1 else kite.GTT_TYPE_OCO
    return int(
        kite.place_gtt(kind, "INFY", "NSE", list(triggers), 1000, _legs(triggers, quantity, price))["trigger_id"]
    )


def _legs(triggers: tuple[float, ...], quantity: int, price: float) -> list[dict[str, Any]]:
    terms = {"transaction_type": "SELL", "quantity": quantity, "order_type": "LIMIT", "product": "CNC"}
    return [{**terms, "price": price if trigger < 1000 else trigger} for trigger in triggers]


@pytest.fixture
def at_1000(broker: RunningBroker) -> RunningBroker:
    """A broker where INFY trades at 1000."""
    broker.price("NSE:INFY", "1000.00")
    return broker


@pytest.mark.parametrize(
    ("side", "trigger", "short_of_it", "gap"), [("SELL", 990, "990.05", "970.35"), ("BUY", 1010, "1009.95", "1033.15")]
)
def test_stop_waits_for_trigger_and_fills_at_tape(
    at_1000: RunningBroker, kite: KiteConnect, side: str, trigger: float, short_of_it: str, gap: str
) -> None:
    order_id = stop_order(kite, side, trigger)
    at_1000.price("NSE:INFY", short_of_it)
    waiting = the_order(kite, order_id)
    assert (waiting["status"], waiting["order_type"], waiting["trigger_price"]) == ("TRIGGER PENDING", "SL-M", trigger)
    assert (waiting["pending_quantity"], waiting["filled_quantity"]) == (100, 0)
    at_1000.price("NSE:INFY", gap)
    filled = the_order(kite, order_id)
    assert (filled["status"], filled["filled_quantity"], str(filled["average_price"])) == ("COMPLETE", 100, gap)
    states = [state["status"] for state in kite.order_history(order_id)]
    assert states == ["PUT ORDER REQ RECEIVED", "TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_stop_with_limit_becomes_limit_order_after_trigger(at_1000: RunningBroker, kite: KiteConnect) -> None:
    order_id = stop_order(kite, price=988)
    at_1000.price("NSE:INFY", "970.00")
    assert the_order(kite, order_id)["status"] == "OPEN"
    at_1000.price("NSE:INFY", "988.05")
    order = the_order(kite, order_id)
    assert (order["status"], order["average_price"]) == ("COMPLETE", 988.05)


@pytest.mark.parametrize(
    ("side", "trigger", "where"), [("SELL", 1000, "lower"), ("SELL", 1001, "lower"), ("BUY", 999, "higher")]
)
def test_a_trigger_that_the_market_has_reached_is_refused(
    at_1000: RunningBroker, kite: KiteConnect, side: str, trigger: float, where: str
) -> None:
    with pytest.raises(kite_exceptions.InputException, match=f"should be {where} than the last traded price"):
        stop_order(kite, side, trigger)
    assert kite.orders() == []


def test_a_waiting_stop_is_changed_and_cancelled(at_1000: RunningBroker, kite: KiteConnect) -> None:
    order_id = stop_order(kite)
    kite.modify_order("regular", order_id, trigger_price=995, quantity=40)
    order = the_order(kite, order_id)
    assert (order["status"], order["trigger_price"], order["quantity"]) == ("TRIGGER PENDING", 995, 40)
    with pytest.raises(kite_exceptions.InputException, match="should be lower"):
        kite.modify_order("regular", order_id, trigger_price=1002)
    kite.cancel_order("regular", order_id)
    at_1000.price("NSE:INFY", "900.00")
    assert (the_order(kite, order_id)["status"], kite.trades()) == ("CANCELLED", [])
    with pytest.raises(kite_exceptions.OrderException, match="cannot be cancelled"):
        kite.cancel_order("regular", order_id)


def test_waiting_stop_becomes_market_order_under_market_rules(at_1000: RunningBroker, kite: KiteConnect) -> None:
    order_id = stop_order(kite, price=988, market_protection=None)
    with pytest.raises(kite_exceptions.InputException, match="market protection"):
        kite.modify_order("regular", order_id, order_type="MARKET")
    kite.modify_order("regular", order_id, order_type="MARKET", market_protection=-1)
    order = the_order(kite, order_id)
    assert (order["status"], order["average_price"], order["trigger_price"]) == ("COMPLETE", 1000, 0)


def test_a_triggered_stop_keeps_its_trigger(at_1000: RunningBroker, kite: KiteConnect) -> None:
    order_id = stop_order(kite, price=988)
    at_1000.price("NSE:INFY", "980.00")
    with pytest.raises(kite_exceptions.InputException, match="was triggered"):
        kite.modify_order("regular", order_id, trigger_price=970, price=960)
    kite.modify_order("regular", order_id, price=975)
    assert the_order(kite, order_id)["average_price"] == 980


def test_stop_delays_and_partial_fills_count_from_its_trigger(at_1000: RunningBroker, kite: KiteConnect) -> None:
    at_1000.fault({"kind": "partial_fill", "quantity": 30, "rest_after_ms": 50})
    order_id = stop_order(kite)
    at_1000.price("NSE:INFY", "989.00")
    wait_until(lambda: the_order(kite, order_id)["status"] == "COMPLETE", "the rest fills")
    assert [trade["quantity"] for trade in kite.order_trades(order_id)] == [30, 70]


def test_faults_of_a_placement_apply_to_stops(at_1000: RunningBroker, kite: KiteConnect) -> None:
    at_1000.fault({"kind": "reject", "message": "RMS: no"})
    assert the_order(kite, stop_order(kite))["status"] == "REJECTED"
    at_1000.fault({"kind": "drop_answer", "after_ms": 0})
    with pytest.raises(requests.RequestException):
        stop_order(kite)
    assert [order["status"] for order in kite.orders()] == ["REJECTED", "TRIGGER PENDING"]


def test_a_single_trigger_places_its_limit_order_once(at_1000: RunningBroker, kite: KiteConnect) -> None:
    trigger_id = place_gtt(kite, 990)
    listed = kite.get_gtt(trigger_id)
    assert (listed["status"], listed["type"], listed["condition"]["trigger_values"]) == ("active", "single", [990])
    assert datetime.fromisoformat(listed["expires_at"]) > datetime.fromisoformat(listed["created_at"])
    assert listed["orders"][0]["result"] is None
    at_1000.price("NSE:INFY", "986.05")
    at_1000.price("NSE:INFY", "980.00")
    (order,) = kite.orders()
    assert (order["status"], order["order_type"], order["average_price"]) == ("COMPLETE", "LIMIT", 986.05)
    (fired,) = kite.get_gtts()
    result = fired["orders"][0]["result"]
    assert (fired["status"], result["triggered_at"]) == ("triggered", 986.05)
    assert result["order_result"] == {"status": "success", "order_id": order["order_id"], "rejection_reason": ""}


@pytest.mark.parametrize(("price", "leg"), [("989.00", 0), ("1021.00", 1)])
def test_of_two_legs_one_fires_and_the_other_never(
    at_1000: RunningBroker, kite: KiteConnect, price: str, leg: int
) -> None:
    trigger_id = place_gtt(kite, 990, 1020)
    at_1000.price("NSE:INFY", price)
    at_1000.price("NSE:INFY", "1000.00")
    at_1000.price("NSE:INFY", "1021.00" if leg == 0 else "989.00")
    (order,) = kite.orders()
    assert (order["status"], str(order["average_price"])) == ("COMPLETE", price.removesuffix(".00"))
    fired = kite.get_gtt(trigger_id)
    assert [each["result"] is not None for each in fired["orders"]] == [leg == 0, leg == 1]


def test_a_trigger_is_changed_and_deleted_while_active(at_1000: RunningBroker, kite: KiteConnect) -> None:
    trigger_id = place_gtt(kite, 990)
    kite.modify_gtt(trigger_id, "single", "INFY", "NSE", [980], 1000, _legs((980,), 50, 970))
    changed = kite.get_gtt(trigger_id)
    assert (changed["condition"]["trigger_values"], changed["orders"][0]["quantity"]) == ([980], 50)
    assert kite.delete_gtt(trigger_id) == {"trigger_id": trigger_id}
    at_1000.price("NSE:INFY", "900.00")
    assert (kite.get_gtt(trigger_id)["status"], kite.orders()) == ("deleted", [])
    with pytest.raises(kite_exceptions.InputException, match="deleted"):
        kite.delete_gtt(trigger_id)
    with pytest.raises(kite_exceptions.InputException, match="find"):
        kite.get_gtt(1)


@pytest.mark.parametrize("triggers", [(1000,), (1001, 1020), (980, 999)])
def test_triggers_that_the_market_meets_are_refused(
    at_1000: RunningBroker, kite: KiteConnect, triggers: tuple[float, ...]
) -> None:
    with pytest.raises(kite_exceptions.InputException):
        place_gtt(kite, *triggers)
    assert kite.get_gtts() == []


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"type": "single", "condition": "no json", "orders": "[]"},
        {"type": "single", "condition": "{}", "orders": "[]"},
        {"type": "two-leg", "condition": '{"exchange": "NSE"}', "orders": "{}"},
    ],
)
def test_unreadable_forms_of_triggers_are_input_exceptions(kite: KiteConnect, form: dict[str, str]) -> None:
    with pytest.raises(kite_exceptions.InputException) as refused:
        kite._post("gtt.place", params=form)
    assert refused.value.code == 400


def test_refused_trigger_order_is_reported_in_its_result(at_1000: RunningBroker, kite: KiteConnect) -> None:
    trigger_id = place_gtt(kite, 990)
    at_1000.fault({"kind": "refuse", "message": "circuit"})
    at_1000.price("NSE:INFY", "980.00")
    result = kite.get_gtt(trigger_id)["orders"][0]["result"]["order_result"]
    assert (result["status"], result["rejection_reason"], kite.orders()) == ("failed", "circuit", [])


def test_a_restart_keeps_stops_and_triggers(tmp_path: Path) -> None:
    with running_broker(tmp_path) as before:
        before.price("NSE:INFY", "1000.00")
        order_id = stop_order(before.client())
        trigger_id = place_gtt(before.client(), 990, 1020, price=960)
        books = (before.client().orders(), before.client().get_gtts())
    with running_broker(tmp_path) as after:
        kite = after.client()
        assert (kite.orders(), kite.get_gtts()) == books
        after.price("NSE:INFY", "970.00")
        assert the_order(kite, order_id)["average_price"] == 970
        assert kite.get_gtt(trigger_id)["orders"][0]["result"]["order_result"]["status"] == "success"
        assert len(kite.trades()) == 2
