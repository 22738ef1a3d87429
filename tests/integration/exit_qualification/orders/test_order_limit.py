"""Orders of one trade for one reason are limited: a manual exit stops and says so, a stop goes on slowly."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.reconciling.outcome_writer import ORDER_LIMIT
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.runtime.telemetry import REGISTRY
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

LIMIT = 3


@pytest.fixture
def scenario(scenario: OrderScenario) -> OrderScenario:
    """A scenario with few orders and hardly any back-off."""
    terms = replace(
        scenario.terms,
        backoff_first_s=0.01,
        backoff_max_s=0.02,
        order_limit=LIMIT,
        order_limit_window=timedelta(minutes=10),
    )
    return OrderScenario(scenario.engine, scenario.brokers, terms)


def ended_unfilled(scenario: OrderScenario, broker: ScriptedBroker, intent: ExitIntent) -> ExitIntent:
    """Send an exit, and have the broker end its order."""
    assert scenario.sender.execute_next()
    broker.end(broker.order_ids[-1])
    scenario.reconciler.reconcile_once()
    return scenario.expect(intent, IntentStatus.CANCELLED)


def reached(reason: ExitReason) -> float:
    """How often the limit was reached."""
    return REGISTRY.get_sample_value("exit_order_limit_reached_total", {"reason": reason}) or 0.0


def at_its_limit(scenario: OrderScenario, broker: ScriptedBroker, reason: ExitReason) -> ExitIntent:
    """An exit after the last order allowed to it."""
    intent = scenario.detect(scenario.open_trade(), reason, cooldown_s=0)
    for _ in range(LIMIT - 1):
        ended = ended_unfilled(scenario, broker, intent)
        assert ended.error_code is None
        intent = scenario.go_on(ended)
    return ended_unfilled(scenario, broker, intent)


def test_a_manual_exit_stops_at_its_limit_and_says_so(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    before = reached(ExitReason.MANUAL)
    last = at_its_limit(scenario, broker, ExitReason.MANUAL)
    assert last.error_code == ORDER_LIMIT
    assert "3 orders in 600 s did not fill the exit: no more are sent" in str(last.error_message)
    assert reached(ExitReason.MANUAL) == before + 1
    scenario.send_back_in_time(last, timedelta(hours=1))  # not even when the window is over
    scenario.remainders.exit_once()
    assert not scenario.intents_after(last)
    again = scenario.detect(scenario.trade_of(last), ExitReason.MANUAL, cooldown_s=0)  # but an operator may ask again
    assert again.status is IntentStatus.APPROVED


def test_a_stop_beyond_its_limit_continues_at_slowest_pace(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    before = reached(ExitReason.STOP_LOSS)
    last = at_its_limit(scenario, broker, ExitReason.STOP_LOSS)
    assert last.error_code == ORDER_LIMIT
    assert "next after 200 s" in str(last.error_message)
    assert 100 < scenario.cooldown_s(last) <= 200
    assert reached(ExitReason.STOP_LOSS) == before + 1
    scenario.remainders.exit_once()
    assert not scenario.intents_after(last)
    scenario.end_cooldown(last)
    assert scenario.go_on(last).exit_reason is ExitReason.STOP_LOSS


def test_orders_outside_the_window_do_not_count(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.detect(scenario.open_trade(), ExitReason.MANUAL, cooldown_s=0)
    for _ in range(LIMIT + 1):
        ended = ended_unfilled(scenario, broker, intent)
        assert ended.error_code is None
        intent = scenario.go_on(ended)
        scenario.send_back_in_time(ended, timedelta(minutes=11))
