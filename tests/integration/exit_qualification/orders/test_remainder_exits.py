"""A stop or a manual exit ended with quantity left goes on, wherever the market went since."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.vocabulary import ExitReason, IntentStatus, RolloutMode
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

STOP_LOSS, MANUAL, TARGET = ExitReason.STOP_LOSS, ExitReason.MANUAL, ExitReason.TARGET


@pytest.fixture
def scenario(scenario: OrderScenario) -> OrderScenario:
    """A scenario with hardly any back-off."""
    return OrderScenario(
        scenario.engine, scenario.brokers, replace(scenario.terms, backoff_first_s=0.05, backoff_max_s=0.2)
    )


def _sent(scenario: OrderScenario, reason: ExitReason) -> ExitIntent:
    cooldown_s = 0 if reason is MANUAL else 60
    intent = scenario.detect(scenario.open_trade(), reason, cooldown_s=cooldown_s)
    assert scenario.sender.execute_next()
    return scenario.expect(intent, IntentStatus.PLACED)


def _cancelled(scenario: OrderScenario, broker: ScriptedBroker, reason: ExitReason, filled: int) -> ExitIntent:
    intent = _sent(scenario, reason)
    if filled:
        broker.fill(broker.order_ids[-1], filled, "989")
    broker.end(broker.order_ids[-1])
    scenario.reconciler.reconcile_once()
    return scenario.expect(intent, IntentStatus.CANCELLED)


def _rejected(scenario: OrderScenario, broker: ScriptedBroker, reason: ExitReason) -> ExitIntent:
    broker.fault({"kind": "reject", "message": "no"})
    intent = _sent(scenario, reason)
    scenario.reconciler.reconcile_once()
    return scenario.expect(intent, IntentStatus.FAILED)


def _nothing_goes_on(scenario: OrderScenario, ended: ExitIntent) -> bool:
    with scenario.engine.begin() as connection:  # as if it had ended long ago, its back-off over
        connection.execute(text("UPDATE exit_episodes SET cooldown_until = clock_timestamp()"))
        connection.execute(
            text(
                "UPDATE exit_intents SET ended_at = ended_at - :by, version = version + 1 WHERE intent_id = :intent_id"
            ),
            {"by": timedelta(minutes=5), "intent_id": ended.intent_id},
        )
    scenario.remainders.exit_once()
    return not scenario.intents_after(ended)


@pytest.mark.parametrize("reason", [STOP_LOSS, MANUAL])
@pytest.mark.parametrize("filled", [0, 40])
def test_the_rest_of_a_cancelled_stop_or_manual_exit_exits(
    scenario: OrderScenario, broker: ScriptedBroker, reason: ExitReason, filled: int
) -> None:
    ended = _cancelled(scenario, broker, reason, filled)
    scenario.last_price("1000")
    rest = scenario.go_on(ended)
    assert (rest.exit_reason, rest.status, rest.quantity) == (reason, IntentStatus.APPROVED, 100 - filled)
    assert rest.detected_price == (Decimal(1000) if reason is STOP_LOSS else None)
    assert scenario.sender.execute_next()
    broker.price("NSE:INFY", "1000")
    scenario.reconciler.reconcile_once()
    scenario.expect(rest, IntentStatus.FILLED)
    assert scenario.filled_of_trade(rest.trade_id) == 100
    assert _nothing_goes_on(scenario, rest)


def test_an_order_that_was_not_filled_in_time_goes_on(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = _sent(scenario, MANUAL)
    broker.fill(broker.order_ids[0], 40, "1000")
    scenario.send_back_in_time(intent, timedelta(seconds=61))
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.CANCELLED).cancel_reason == "NOT_FILLED_IN_TIME"
    assert scenario.go_on(intent).quantity == 60


def test_a_rejected_stop_is_retried_although_the_price_returned(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario.last_price("1000")
    rest = scenario.go_on(_rejected(scenario, broker, STOP_LOSS))
    assert (rest.exit_reason, rest.quantity, rest.detected_price) == (STOP_LOSS, 100, Decimal(1000))
    scenario.requalification.requalify_once()
    scenario.expect(rest, IntentStatus.APPROVED)


def test_a_rejected_manual_exit_is_the_operators_to_repeat(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    assert _nothing_goes_on(scenario, _rejected(scenario, broker, MANUAL))


def test_the_rest_of_a_target_waits_for_the_market(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    assert _nothing_goes_on(scenario, _cancelled(scenario, broker, TARGET, 40))


def test_a_stop_continues_after_a_refused_manual_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    stopped = _cancelled(scenario, broker, STOP_LOSS, 40)
    broker.fault({"kind": "reject", "message": "no"})
    manual = scenario.detect(scenario.trade_of(stopped), MANUAL, cooldown_s=0)
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    scenario.expect(manual, IntentStatus.FAILED)
    rest = scenario.go_on(manual)
    assert (rest.exit_reason, rest.quantity) == (STOP_LOSS, 60)


def test_during_its_back_off_nothing_goes_on(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    slow = scenario.with_long_back_off()
    for reason in (STOP_LOSS, MANUAL):
        ended = _cancelled(slow, broker, reason, 40)
        slow.remainders.exit_once()
        assert not slow.intents_after(ended)


def test_a_live_exit_of_any_reason_stands_in_the_way(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    ended = _cancelled(scenario, broker, STOP_LOSS, 40)
    target = scenario.detect(scenario.trade_of(ended), TARGET)
    scenario.remainders.exit_once()
    assert [row.intent_id for row in scenario.intents_after(ended)] == [target.intent_id]


def test_a_closed_trade_has_no_remainder(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    ended = _cancelled(scenario, broker, STOP_LOSS, 40)
    with scenario.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    assert _nothing_goes_on(scenario, ended)


@pytest.mark.parametrize("mode", [RolloutMode.OFF, RolloutMode.DARK, RolloutMode.LIMITED])
def test_where_the_rollout_does_not_reach_nothing_goes_on(
    scenario: OrderScenario, broker: ScriptedBroker, mode: RolloutMode
) -> None:
    ended = _cancelled(scenario, broker, MANUAL, 40)
    scenario.roll_out(mode)
    assert _nothing_goes_on(scenario, ended)
    scenario.roll_out(RolloutMode.FULL)
    assert scenario.go_on(ended).quantity == 60
