"""Approved exits are sent, each at most once."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.orders.brokers.port import ExitOrder
from services.exit_qualification.storage.order_queues import OrderQueues, PendingApproved
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, KillSwitchMode, ProductType, RolloutMode
from shared.runtime.failpoints import Failpoint, FailpointHit, arm
from tests.integration.exit_qualification.orders.floor import Floor, wait_until
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

RATE_LIMIT = {"kind": "refuse", "error_type": "NetworkException", "http_status": 429}


@pytest.mark.parametrize(("direction", "side"), [(Direction.LONG, OrderSide.SELL), (Direction.SHORT, OrderSide.BUY)])
def test_an_approved_exit_becomes_an_order_that_reduces_the_position(
    floor: Floor, broker: ScriptedBroker, direction: Direction, side: OrderSide
) -> None:
    intent = floor.placed(direction=direction)
    assert broker.placed == [ExitOrder(intent.client_order_id, "NSE", "INFY", side, 100, ProductType.MIS)]
    assert (intent.broker_order_id, intent.attempts) == (broker.order_ids[0], 1)
    assert intent.submitted_at is not None
    assert intent.placed_at is not None
    assert intent.submitted_at <= intent.placed_at
    assert floor.event_names(intent) == ["Placed"]


def test_without_an_approved_exit_nothing_is_sent(floor: Floor, broker: ScriptedBroker) -> None:
    assert not floor.sender.execute_next()
    assert broker.reads == 0


def test_the_oldest_exit_is_sent_first(floor: Floor, broker: ScriptedBroker) -> None:
    tags = [floor.approved().client_order_id for _ in range(3)]
    while floor.sender.execute_next():
        pass
    assert [order.tag for order in broker.placed] == tags


def test_an_intent_is_committed_as_submitting_before_the_call(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    seen: list[IntentStatus] = []
    broker.on_place = lambda: seen.append(floor.intent(intent).status)
    floor.sender.execute_next()
    assert seen == [IntentStatus.SUBMITTING]


def test_racing_senders_send_each_exit_once(floor: Floor, broker: ScriptedBroker) -> None:
    intents = [floor.approved() for _ in range(12)]
    start = threading.Barrier(4)

    def send_all() -> None:
        start.wait()
        while floor.sender.execute_next():
            pass

    senders = [threading.Thread(target=send_all) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(order.tag for order in broker.placed) == sorted(intent.client_order_id for intent in intents)
    for intent in intents:
        assert floor.expect(intent, IntentStatus.PLACED).attempts == 1


def test_a_stale_queue_read_sends_nothing(
    floor: Floor, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is on the trade, so that the queue can show an intent that another sender has just taken."""
    intent = floor.placed()
    outdated = PendingApproved(intent.intent_id, intent.trade_id)
    monkeypatch.setattr(OrderQueues, "find_pending_approved", lambda _: outdated)
    assert floor.sender.execute_next()
    assert floor.intent(intent) == intent
    assert len(broker.placed) == 1


def test_a_rate_limited_exit_is_sent_after_a_wait(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    broker.fault(RATE_LIMIT)
    assert floor.sender.execute_next()
    assert floor.expect(intent, IntentStatus.APPROVED).attempts == 1
    assert not floor.sender.execute_next()
    wait_until(floor.sender.execute_next, "the wait is over")
    assert floor.expect(intent, IntentStatus.PLACED).attempts == 2
    assert len(broker.placed) == 1
    assert broker.reads == 1, "the tag is looked up before the second attempt only"


def test_a_second_attempt_that_finds_its_tag_sends_nothing(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    broker.fault(RATE_LIMIT)
    floor.sender.execute_next()
    broker.place_market_exit(ExitOrder(intent.client_order_id, "NSE", "INFY", OrderSide.SELL, 100, ProductType.MIS))
    wait_until(floor.sender.execute_next, "the wait is over")
    assert floor.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert len(broker.placed) == 1


def test_a_second_attempt_without_tag_lookup_sends_nothing(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    broker.fault(RATE_LIMIT)
    floor.sender.execute_next()
    broker.is_down = True
    wait_until(floor.sender.execute_next, "the wait is over")
    floor.expect(intent, IntentStatus.APPROVED)
    assert broker.placed == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_answer"},
        {"kind": "refuse", "error_type": "OrderException", "http_status": 400},
        {"kind": "refuse", "error_type": "NetworkException"},
    ],
)
def test_any_other_error_leaves_the_exit_unknown(floor: Floor, broker: ScriptedBroker, fault: dict[str, Any]) -> None:
    intent = floor.approved()
    broker.fault(fault)
    floor.sender.execute_next()
    assert floor.expect(intent, IntentStatus.UNKNOWN).error_code is not None
    assert floor.event_names(intent) == []
    assert not floor.sender.execute_next()


def test_a_claim_expired_before_the_call_sends_nothing(quick_floor: Floor, broker: ScriptedBroker) -> None:
    floor = quick_floor
    intent = floor.approved()
    late = iter([0.0])
    floor.clock.monotonic = lambda: next(late, 1000.0)  # type: ignore[method-assign]  # a stall, without stalling
    floor.sender.execute_next()
    assert broker.placed == []
    floor.expect(intent, IntentStatus.APPROVED)


def test_dark_exits_are_never_sent_whatever_the_rollout_becomes(floor: Floor, broker: ScriptedBroker) -> None:
    floor.roll_out(RolloutMode.DARK)
    intent = floor.approved()
    assert not intent.executable
    floor.roll_out(RolloutMode.FULL)
    assert not floor.sender.execute_next()
    assert broker.placed == []


def test_an_exit_approved_before_the_rollout_went_dark_waits(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    floor.roll_out(RolloutMode.DARK)
    assert not floor.sender.execute_next()
    floor.roll_out(RolloutMode.FULL)
    assert floor.sender.execute_next()
    floor.expect(intent, IntentStatus.PLACED)


def test_the_kill_switch_is_asked_again_at_send(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.approved()
    floor.kill(KillSwitchMode.ALL)
    assert not floor.sender.execute_next()
    floor.expect(intent, IntentStatus.APPROVED)
    floor.kill(KillSwitchMode.ENTRIES_ONLY)
    assert floor.sender.execute_next()


def test_a_manual_exit_passes_the_kill_switch(floor: Floor, broker: ScriptedBroker) -> None:
    floor.kill(KillSwitchMode.ALL)
    intent = floor.detect(floor.open_trade(), ExitReason.MANUAL)
    assert floor.sender.execute_next()
    floor.expect(intent, IntentStatus.PLACED)


def test_a_broker_that_was_disconnected_gets_nothing(floor: Floor, broker: ScriptedBroker) -> None:
    floor.approved()
    floor.connect(BrokerStatus.DISCONNECTED)
    assert not floor.sender.execute_next()
    assert broker.placed == []


def test_an_exit_of_a_closed_trade_is_rejected_with_codes(floor: Floor) -> None:
    intent = floor.approved()
    with floor.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    assert floor.sender.execute_next()
    assert floor.expect(intent, IntentStatus.REJECTED).errors[0]["code"] == "TRADE_OPEN"
    assert floor.event_names(intent) == ["Rejected"]


def test_an_exit_that_has_expired_is_not_sent(floor: Floor, broker: ScriptedBroker) -> None:
    intent = floor.detect(floor.open_trade(), ttl_s=0.01)
    wait_until(lambda: floor.clock.now() > (intent.expires_at or floor.clock.now()), "the exit expires")
    assert not floor.sender.execute_next()
    assert broker.placed == []


def test_the_quantity_is_what_is_left_when_it_is_sent(floor: Floor, broker: ScriptedBroker) -> None:
    """Late fills of an earlier exit arrive between the approval and the sending of the next."""
    first = floor.placed()
    broker.end(broker.order_ids[0])
    floor.reconciler.reconcile_once()
    floor.expect(first, IntentStatus.CANCELLED)
    wait_until(lambda: floor.cooldown_s(first) < 0, "the back-off ends")
    second = floor.detect(floor.trade_of(first))
    broker.fill(broker.order_ids[0], 30, "1009")
    floor.reconciler.reconcile_once()
    floor.sender.execute_next()
    assert floor.expect(second, IntentStatus.PLACED).quantity == 70
    assert broker.placed[1].quantity == 70
    assert floor.expect(first, IntentStatus.CANCELLED).average_price == Decimal(1009)


def test_a_crash_before_the_call_leaves_no_order(quick_floor: Floor, broker: ScriptedBroker, armed: None) -> None:
    floor = quick_floor
    intent = floor.approved()
    arm(Failpoint.ORDERS_AFTER_SUBMITTING, "raise")
    with pytest.raises(FailpointHit):
        floor.sender.execute_next()
    floor.expect(intent, IntentStatus.SUBMITTING)
    assert not floor.sender.execute_next()

    def ended() -> bool:
        floor.reconciler.reconcile_once()
        return floor.intent(intent).status is IntentStatus.FAILED

    wait_until(ended, "absence is proven")
    assert floor.intent(intent).error_code == "NEVER_PLACED"
    assert broker.placed == []


def test_a_crash_after_the_call_leaves_one_findable_order(floor: Floor, broker: ScriptedBroker, armed: None) -> None:
    intent = floor.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        floor.sender.execute_next()
    floor.expect(intent, IntentStatus.SUBMITTING)
    floor.reconciler.reconcile_once()
    assert floor.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert not floor.sender.execute_next()
    assert len(broker.placed) == 1


def test_a_late_sender_still_records_the_broker_answer(quick_floor: Floor, broker: ScriptedBroker) -> None:
    floor = quick_floor
    intent = floor.approved()

    def outlast_the_claim() -> None:
        def lapsed() -> bool:
            floor.reconciler.reconcile_once()
            return floor.intent(intent).status is IntentStatus.UNKNOWN

        wait_until(lapsed, "the claim lapses")

    broker.on_place = outlast_the_claim
    floor.sender.execute_next()
    assert floor.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert floor.event_names(intent) == ["Placed"]
