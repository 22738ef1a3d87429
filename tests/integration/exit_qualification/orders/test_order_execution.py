"""Approved exits are sent, each at most once."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from services.exit_qualification.domain.order_terms import BrokerStatus, OrderSide
from services.exit_qualification.orders.brokers.port import ExitOrder
from services.exit_qualification.storage.order_queues import OrderQueues, PendingApproved
from shared.contracts.vocabulary import Direction, ExitReason, IntentStatus, KillSwitchMode, ProductType, RolloutMode
from shared.runtime.failpoints import Failpoint, FailpointHit, arm
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import wait_until

RATE_LIMIT = {"kind": "refuse", "error_type": "NetworkException", "http_status": 429}


@pytest.mark.parametrize(("direction", "side"), [(Direction.LONG, OrderSide.SELL), (Direction.SHORT, OrderSide.BUY)])
def test_an_approved_exit_becomes_an_order_that_reduces_the_position(
    scenario: OrderScenario, broker: ScriptedBroker, direction: Direction, side: OrderSide
) -> None:
    intent = scenario.placed(direction=direction)
    assert broker.placed == [ExitOrder(intent.client_order_id, "NSE", "INFY", side, 100, ProductType.MIS)]
    assert (intent.broker_order_id, intent.attempts) == (broker.order_ids[0], 1)
    assert intent.submitted_at is not None
    assert intent.placed_at is not None
    assert intent.submitted_at <= intent.placed_at
    assert scenario.event_names(intent) == ["Placed"]


def test_without_an_approved_exit_nothing_is_sent(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    assert not scenario.sender.execute_next()
    assert broker.reads == 0


def hold(engine: Engine, why: str | None) -> None:
    """Hold the outbox as its relay does, or release it."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE outbox_origin SET held_because = :why"), {"why": why})


def test_while_the_database_is_behind_kafka_nothing_is_sent(
    scenario: OrderScenario, broker: ScriptedBroker, exit_engine: Engine
) -> None:
    intent = scenario.approved()
    hold(exit_engine, "behind")
    assert not scenario.sender.execute_next()
    hold(exit_engine, None)
    assert scenario.sender.execute_next()
    assert [order.tag for order in broker.placed] == [intent.client_order_id]


def test_a_claim_begun_before_the_hold_is_returned(exit_engine: Engine) -> None:
    broker = HeldMeanwhile(exit_engine)
    scenario = OrderScenario(exit_engine, broker)
    intent = scenario.approved()
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.APPROVED)
    assert broker.order_ids == []


class HeldMeanwhile(ScriptedBroker):
    """A broker; the outbox is held while it is chosen."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def port(self, user_broker: object) -> HeldMeanwhile:
        hold(self._engine, "behind")
        return self


def test_the_oldest_exit_is_sent_first(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    tags = [scenario.approved().client_order_id for _ in range(3)]
    while scenario.sender.execute_next():
        pass
    assert [order.tag for order in broker.placed] == tags


def test_an_intent_is_committed_as_submitting_before_the_call(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    seen: list[IntentStatus] = []
    broker.on_place = lambda: seen.append(scenario.intent(intent).status)
    scenario.sender.execute_next()
    assert seen == [IntentStatus.SUBMITTING]


def test_racing_senders_send_each_exit_once(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intents = [scenario.approved() for _ in range(12)]
    start = threading.Barrier(4)

    def send_all() -> None:
        start.wait()
        while scenario.sender.execute_next():
            pass

    senders = [threading.Thread(target=send_all) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(order.tag for order in broker.placed) == sorted(intent.client_order_id for intent in intents)
    for intent in intents:
        assert scenario.expect(intent, IntentStatus.PLACED).attempts == 1


def test_a_stale_queue_read_sends_nothing(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is on the trade: the queue can show an intent just taken by another sender."""
    intent = scenario.placed()
    outdated = PendingApproved(intent.intent_id, intent.trade_id, intent.user_broker_id, intent.symbol, is_leg=False)
    monkeypatch.setattr(OrderQueues, "ask_pending_approved", lambda *_: SimpleNamespace(get=lambda: [outdated]))
    assert scenario.sender.execute_next()
    assert scenario.intent(intent) == intent
    assert len(broker.placed) == 1


def test_a_rate_limited_exit_is_sent_after_a_wait(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    broker.fault(RATE_LIMIT)
    assert scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.APPROVED).attempts == 1
    assert not scenario.sender.execute_next()
    wait_until(scenario.sender.execute_next, "the wait is over")
    assert scenario.expect(intent, IntentStatus.PLACED).attempts == 2
    assert len(broker.placed) == 1
    assert broker.reads == 1, "the tag is looked up before the second attempt only"


def test_a_second_attempt_that_finds_its_tag_sends_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    broker.fault(RATE_LIMIT)
    scenario.sender.execute_next()
    broker.place_market_exit(ExitOrder(intent.client_order_id, "NSE", "INFY", OrderSide.SELL, 100, ProductType.MIS))
    wait_until(scenario.sender.execute_next, "the wait is over")
    assert scenario.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert len(broker.placed) == 1


def test_a_second_attempt_without_tag_lookup_sends_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    broker.fault(RATE_LIMIT)
    scenario.sender.execute_next()
    broker.is_down = True
    wait_until(scenario.sender.execute_next, "the wait is over")
    scenario.expect(intent, IntentStatus.APPROVED)
    assert broker.placed == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_answer"},
        {"kind": "refuse", "error_type": "OrderException", "http_status": 400},
        {"kind": "refuse", "error_type": "NetworkException"},
    ],
)
def test_any_other_error_leaves_the_exit_unknown(
    scenario: OrderScenario, broker: ScriptedBroker, fault: dict[str, Any]
) -> None:
    intent = scenario.approved()
    broker.fault(fault)
    scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.UNKNOWN).error_code is not None
    assert scenario.event_names(intent) == []
    assert not scenario.sender.execute_next()


def test_a_claim_expired_before_the_call_sends_nothing(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario = quick_scenario
    intent = scenario.approved()
    late = iter([0.0])
    scenario.clock.monotonic = lambda: next(late, 1000.0)  # type: ignore[method-assign]  # a stall, without stalling
    scenario.sender.execute_next()
    assert broker.placed == []
    scenario.expect(intent, IntentStatus.APPROVED)


def test_dark_exits_are_never_sent_whatever_the_rollout_becomes(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario.roll_out(RolloutMode.DARK)
    intent = scenario.approved()
    assert not intent.executable
    scenario.roll_out(RolloutMode.FULL)
    assert not scenario.sender.execute_next()
    assert broker.placed == []


def test_an_exit_approved_before_the_rollout_went_dark_waits(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    scenario.roll_out(RolloutMode.DARK)
    assert not scenario.sender.execute_next()
    scenario.roll_out(RolloutMode.FULL)
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)


def test_the_kill_switch_is_asked_again_at_send(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    scenario.kill(KillSwitchMode.ALL)
    assert not scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.APPROVED)
    scenario.kill(KillSwitchMode.ENTRIES_ONLY)
    assert scenario.sender.execute_next()


def test_a_manual_exit_passes_the_kill_switch(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario.kill(KillSwitchMode.ALL)
    intent = scenario.detect(scenario.open_trade(), ExitReason.MANUAL)
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.PLACED)


def test_a_broker_that_was_disconnected_gets_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario.approved()
    scenario.connect(BrokerStatus.DISCONNECTED)
    assert not scenario.sender.execute_next()
    assert broker.placed == []


def test_an_exit_of_a_closed_trade_is_rejected_with_codes(scenario: OrderScenario) -> None:
    intent = scenario.approved()
    with scenario.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    assert scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.REJECTED).errors[0]["code"] == "TRADE_OPEN"
    assert scenario.event_names(intent) == ["Rejected"]


def test_an_exit_that_has_expired_is_not_sent(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.detect(scenario.open_trade(), ttl_s=0.01)
    wait_until(lambda: scenario.clock.now() > (intent.expires_at or scenario.clock.now()), "the exit expires")
    assert not scenario.sender.execute_next()
    assert broker.placed == []


def test_the_quantity_is_what_is_left_when_it_is_sent(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    """Late fills of an earlier exit arrive between the approval and the sending of the next."""
    first = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    scenario.expect(first, IntentStatus.CANCELLED)
    scenario.end_cooldown(first)
    second = scenario.detect(scenario.trade_of(first))
    broker.fill(broker.order_ids[0], 30, "1009")
    scenario.reconciler.reconcile_once()
    scenario.sender.execute_next()
    assert scenario.expect(second, IntentStatus.PLACED).quantity == 70
    assert broker.placed[1].quantity == 70
    assert scenario.expect(first, IntentStatus.CANCELLED).average_price == Decimal(1009)


def test_a_crash_before_the_call_leaves_no_order(
    quick_scenario: OrderScenario, broker: ScriptedBroker, armed: None
) -> None:
    scenario = quick_scenario
    intent = scenario.approved()
    arm(Failpoint.ORDERS_AFTER_SUBMITTING, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.SUBMITTING)
    assert not scenario.sender.execute_next()

    def ended() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).status is IntentStatus.FAILED

    wait_until(ended, "absence is proven")
    assert scenario.intent(intent).error_code == "NEVER_PLACED"
    assert broker.placed == []


def test_a_crash_after_the_call_leaves_one_findable_order(
    scenario: OrderScenario, broker: ScriptedBroker, armed: None
) -> None:
    intent = scenario.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.SUBMITTING)
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert not scenario.sender.execute_next()
    assert len(broker.placed) == 1


def test_a_late_sender_still_records_the_broker_answer(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario = quick_scenario
    intent = scenario.approved()

    def outlast_the_claim() -> None:
        def lapsed() -> bool:
            scenario.reconciler.reconcile_once()
            return scenario.intent(intent).status is IntentStatus.UNKNOWN

        wait_until(lapsed, "the claim lapses")

    broker.on_place = outlast_the_claim
    scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.PLACED).broker_order_id == broker.order_ids[0]
    assert scenario.event_names(intent) == ["Placed"]
