"""An order for more than late fills have left is cancelled, whatever comes in between."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.vocabulary import ExitReason, IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker


def _followed_by_a_stop(scenario: OrderScenario, broker: ScriptedBroker) -> tuple[ExitIntent, ExitIntent]:
    """An exit ended by the broker, and the unsent stop after it."""
    first = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    return first, scenario.detect(scenario.trade_of(first), ExitReason.STOP_LOSS)


def _as_if_asked_long_ago(scenario: OrderScenario, intent: ExitIntent) -> None:
    with scenario.engine.begin() as connection:
        connection.execute(
            text("""UPDATE exit_intents SET cancel_requested_at = cancel_requested_at - :by, version = version + 1
                     WHERE intent_id = :intent_id"""),
            {"by": timedelta(seconds=2), "intent_id": intent.intent_id},
        )


def test_a_found_excess_order_with_lost_answer_is_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    _, second = _followed_by_a_stop(scenario, broker)
    broker.fault({"kind": "drop_answer"})
    scenario.sender.execute_next()
    scenario.expect(second, IntentStatus.UNKNOWN)
    broker.fill(broker.order_ids[0], 30, "1010")
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[1]]
    assert scenario.expect(second, IntentStatus.CANCELLED).filled_quantity == 0


def test_a_cancel_that_gets_no_answer_is_asked_for_again(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    _, second = _followed_by_a_stop(scenario, broker)
    scenario.sender.execute_next()
    broker.fill(broker.order_ids[0], 30, "1010")
    broker.is_deaf_to_cancels = True
    for _ in range(2):
        scenario.reconciler.reconcile_once()
    broker.is_deaf_to_cancels = False
    assert broker.unanswered == [broker.order_ids[1]], "not in every pass"
    _as_if_asked_long_ago(scenario, second)
    for _ in range(2):
        scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[1]]
    scenario.expect(second, IntentStatus.CANCELLED)


def test_the_next_pass_finishes_work_of_a_dead_process(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = _followed_by_a_stop(scenario, broker)
    scenario.sender.execute_next()
    broker.fill(broker.order_ids[0], 30, "1010")
    with monkeypatch.context() as patched:  # as if the process had died after the late fills were stored
        patched.setattr(scenario.reconciler, "_cancel_excess", lambda *_: None)
        scenario.reconciler.reconcile_once()
    assert scenario.filled_of_trade(second.trade_id) == 30
    assert broker.cancels == []
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[1]]


def test_an_order_for_what_is_left_is_none_too_large(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    first, second = _followed_by_a_stop(scenario, broker)
    broker.fill(broker.order_ids[0], 30, "1010")
    scenario.reconciler.reconcile_once()
    scenario.sender.execute_next()
    broker.fill(broker.order_ids[1], 20, "989")
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert [order.quantity for order in broker.placed] == [100, 70]
    assert broker.cancels == []
    assert scenario.expect(second, IntentStatus.PARTIALLY_FILLED).filled_quantity == 20
    assert scenario.expect(first, IntentStatus.CANCELLED).late_filled
