"""Somebody changes the quantity of an exit order at the broker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.vocabulary import ExitReason, IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import wait_until


def test_rest_of_lowered_order_exits_with_new_order(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    stop = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    (order_id,) = broker.order_ids
    broker.fill(order_id, 40, "989")
    broker.resize(order_id, 40)
    scenario.reconciler.reconcile_once()
    ended = scenario.expect(stop, IntentStatus.CANCELLED)
    assert ended.filled_quantity == 40
    rest = scenario.go_on(ended)
    assert (rest.exit_reason, rest.quantity) == (ExitReason.STOP_LOSS, 60)


def test_a_lowered_order_may_end_after_its_last_fill(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    stop = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    (order_id,) = broker.order_ids
    broker.fill(order_id, 40, "989")
    scenario.reconciler.reconcile_once()
    scenario.expect(stop, IntentStatus.PARTIALLY_FILLED)
    broker.resize(order_id, 40)
    scenario.reconciler.reconcile_once()
    ended = scenario.expect(stop, IntentStatus.CANCELLED)
    assert (ended.filled_quantity, scenario.go_on(ended).quantity) == (40, 60)


def test_a_raised_order_is_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    (order_id,) = broker.order_ids
    broker.resize(order_id, 150)
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [order_id]
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.CANCELLED)


def test_an_order_raised_after_it_filled_the_exit_is_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    (order_id,) = broker.order_ids
    broker.resize(order_id, 150)
    broker.fill(order_id, 100, "1010")
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)
    assert broker.cancels == [order_id]


def test_a_raised_order_that_filled_beyond_closes_the_trade(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    (order_id,) = broker.order_ids
    broker.resize(order_id, 150)
    broker.fill(order_id, 60, "1010")
    broker.fill(order_id, 90, "1011")
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.FILLED).filled_quantity == 150
    told = dict(scenario.events(intent))["Filled"]
    assert (told["filled_quantity"], [fill["quantity"] for fill in told["fills"]]) == (100, [60, 40])
    assert Decimal(told["average_price"]) == Decimal("1010.4")
    events = scenario.event_names(intent)
    scenario.reconciler.reconcile_once()
    assert scenario.event_names(intent) == events


def test_fills_beyond_a_filled_exit_are_late_fills(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    (order_id,) = broker.order_ids
    broker.resize(order_id, 150)
    broker.fill(order_id, 100, "1010")
    broker.is_deaf_to_cancels = True
    scenario.reconciler.reconcile_once()
    broker.fill(order_id, 50, "1012")
    scenario.reconciler.reconcile_once()
    after = scenario.expect(intent, IntentStatus.FILLED)
    assert (after.filled_quantity, after.late_filled) == (150, True)
    late = dict(scenario.events(intent))["LateFill"]
    assert [fill["quantity"] for fill in late["fills"]] == [100]


def test_order_continuing_after_filled_exit_is_cancelled_until_it_ends(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    intent = scenario.placed()
    (order_id,) = broker.order_ids
    broker.resize(order_id, 150)
    broker.fill(order_id, 100, "1010")
    broker.is_deaf_to_cancels = True
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)
    restarted = OrderScenario(scenario.engine, broker, scenario.terms)
    wait_until(lambda: restarted.reconciler.reconcile_once() and len(broker.unanswered) >= 3, "it is asked again")
    broker.is_deaf_to_cancels = False
    wait_until(lambda: restarted.reconciler.reconcile_once() and broker.cancels == [order_id], "the broker hears it")
    asked = scenario.intent(intent).cancel_requested_at
    for _ in range(3):
        restarted.reconciler.reconcile_once()
    assert broker.cancels == [order_id]
    assert scenario.expect(intent, IntentStatus.FILLED).cancel_requested_at == asked


def raised_before_its_read(scenario: OrderScenario, broker: ScriptedBroker) -> tuple[ExitIntent, str]:
    """An exit filled by its sender, by the fills alone, and the id of its order, raised in the moment before."""
    broker.price(SYMBOL, "1010")
    intent = scenario.approved()
    scenario.sender_that_reads().execute_next()
    scenario.expect(intent, IntentStatus.FILLED)
    order_id = broker.order_ids[-1]
    broker.resize(order_id, 150)
    return intent, order_id


def test_a_raised_order_of_a_filled_exit_is_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent, order_id = raised_before_its_read(scenario, broker)
    assert scenario.reconciler.reconcile_once()
    assert broker.cancels == [order_id]
    assert scenario.expect(intent, IntentStatus.FILLED).cancel_requested_at is not None


def test_fills_of_a_raised_order_are_found_after_any_restart(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent, order_id = raised_before_its_read(scenario, broker)
    broker.fill(order_id, 50, "1012")
    restarted = OrderScenario(scenario.engine, broker, scenario.terms)
    restarted.reconciler.reconcile_once()
    after = scenario.expect(intent, IntentStatus.FILLED)
    assert (after.filled_quantity, after.late_filled, broker.cancels) == (150, True, [])
    assert scenario.event_names(intent) == ["Placed", "Filled", "LateFill"]


def test_whole_books_are_read_once_for_fills_of_a_minute(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1010")
    scenario.approved()
    scenario.sender_that_reads().execute_next()
    scenario.reconciler = OrderScenario(
        scenario.engine, broker, replace(scenario.terms, late_watch_all=timedelta())
    ).reconciler
    reads = broker.reads
    scenario.reconciler.reconcile_once()
    assert broker.reads == reads + 1
    scenario.reconciler.reconcile_once()
    assert broker.reads == reads + 1, "nothing has filled since"
    scenario.approved()
    scenario.sender_that_reads().execute_next()
    reads = broker.reads
    scenario.reconciler.reconcile_once()
    assert broker.reads == reads + 1
