"""Waiting exits are judged again, and given up when their time or their reason is gone."""

from __future__ import annotations

from typing import Any

import pytest

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.square_off import NEVER
from services.exit_qualification.exit_explanation import explain
from services.exit_qualification.exit_timeline import Step
from services.exit_qualification.orders.requalifying import requalification
from services.exit_qualification.storage import order_queues
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode, RolloutMode
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.statements import sent_statements
from tests.support.waiting import wait_until

MOST_OF_A_PAGE = 10
"""Statements of a look at held exits, all of which stay."""


def test_a_deferred_exit_goes_on_when_its_gate_opens(scenario: OrderScenario) -> None:
    scenario.kill(KillSwitchMode.ALL)
    intent = scenario.detect(scenario.open_trade())
    scenario.requalification.requalify_once()
    assert scenario.expect(intent, IntentStatus.PENDING).version == intent.version
    scenario.kill(KillSwitchMode.OFF)
    scenario.requalification.requalify_once()
    approved = scenario.expect(intent, IntentStatus.APPROVED)
    assert {gate["verdict"] for gate in approved.gates} == {"PASS"}
    assert [name for name, _ in scenario.all_events(intent)] == ["Approved"]
    assert scenario.sender.execute_next()
    with scenario.engine.connect() as connection:
        steps = explain(connection, intent.trade_id, NEVER).timeline
    (released,) = (entry for entry in steps if entry.step is Step.RELEASED)
    assert released.detail == {"held_by": ["KILL_SWITCH"]}


def test_a_deferred_exit_waits_for_its_broker(scenario: OrderScenario) -> None:
    scenario.connect(BrokerStatus.DISCONNECTED)
    intent = scenario.detect(scenario.open_trade())
    scenario.requalification.requalify_once()
    scenario.expect(intent, IntentStatus.PENDING)
    scenario.connect(BrokerStatus.CONNECTED)
    scenario.requalification.requalify_once()
    scenario.expect(intent, IntentStatus.APPROVED)


def test_a_waiting_target_is_cancelled_when_the_market_returns(scenario: OrderScenario) -> None:
    scenario.kill(KillSwitchMode.ALL)
    intent = scenario.detect(scenario.open_trade())
    scenario.last_price("1010")
    scenario.requalification.requalify_once()
    scenario.expect(intent, IntentStatus.PENDING)
    scenario.last_price("1009.95")
    scenario.kill(KillSwitchMode.OFF)
    scenario.requalification.requalify_once()
    assert scenario.expect(intent, IntentStatus.CANCELLED).cancel_reason == "CONDITION_GONE"
    assert scenario.event_names(intent) == ["Cancelled"]
    assert scenario.cooldown_s(intent) <= 1


@pytest.mark.parametrize("reason", [ExitReason.STOP_LOSS, ExitReason.MANUAL])
def test_waiting_stops_and_manual_exits_ignore_the_market(scenario: OrderScenario, reason: ExitReason) -> None:
    scenario.connect(BrokerStatus.DISCONNECTED)
    intent = scenario.detect(scenario.open_trade(), reason, ttl_s=0.01)
    scenario.last_price("1000")
    scenario.connect(BrokerStatus.CONNECTED)
    scenario.requalification.requalify_once()
    scenario.expect(intent, IntentStatus.APPROVED)


@pytest.mark.parametrize(
    ("plan", "price", "status"),
    [
        ({"target": "1010"}, "989", IntentStatus.CANCELLED),
        ({"stop_loss": "980"}, "989", IntentStatus.CANCELLED),
        ({"stop_loss": "985"}, "984", IntentStatus.APPROVED),
        ({"stop_loss": "990", "target": "1020"}, "1000", IntentStatus.APPROVED),
    ],
)
def test_changed_plan_withdraws_waiting_exit_it_does_not_request(
    scenario: OrderScenario, plan: dict[str, Any], price: str, status: IntentStatus
) -> None:
    scenario.connect(BrokerStatus.DISCONNECTED)
    intent = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.change_plan(intent, **plan)
    scenario.change_plan(intent, target="1030")  # a repeated event changes nothing
    scenario.last_price(price)
    scenario.connect(BrokerStatus.CONNECTED)
    scenario.requalification.requalify_once()
    ended = scenario.expect(intent, status)
    assert ended.cancel_reason == ("CONDITION_GONE" if status is IntentStatus.CANCELLED else None)


@pytest.mark.parametrize("mode", [KillSwitchMode.OFF, KillSwitchMode.ALL])
def test_an_exit_that_was_not_sent_in_its_time_expires(scenario: OrderScenario, mode: KillSwitchMode) -> None:
    scenario.kill(mode)
    intent = scenario.detect(scenario.open_trade(), ttl_s=0.1)

    def ended() -> bool:
        scenario.requalification.requalify_once()
        return scenario.intent(intent).status is IntentStatus.CANCELLED

    wait_until(ended, "the exit expires")
    assert scenario.intent(intent).cancel_reason == "EXPIRED"
    assert not scenario.sender.execute_next()


def test_a_waiting_exit_of_a_trade_that_closed_is_rejected(scenario: OrderScenario) -> None:
    scenario.kill(KillSwitchMode.ALL)
    intent = scenario.detect(scenario.open_trade())
    with scenario.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    scenario.requalification.requalify_once()
    assert scenario.expect(intent, IntentStatus.REJECTED).errors[0]["code"] == "TRADE_OPEN"
    assert scenario.event_names(intent) == ["Rejected"]


def test_a_dark_exit_is_cancelled_exactly_after_its_cooldown(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario.roll_out(RolloutMode.DARK)
    early = scenario.detect(scenario.open_trade(), cooldown_s=60)
    late = scenario.detect(scenario.open_trade(), cooldown_s=0.1)

    def ended() -> bool:
        scenario.requalification.requalify_once()
        return scenario.intent(late).status is IntentStatus.CANCELLED

    wait_until(ended, "the dark exit ends")
    assert scenario.intent(late).cancel_reason == "DARK"
    scenario.expect(early, IntentStatus.APPROVED)
    assert broker.placed == []
    assert scenario.failures(late) == 0, "no order failed, so that nothing backs off"


@pytest.mark.parametrize("held_by", ["kill switch", "broker"])
def test_held_exits_do_not_delay_newer_ones(
    scenario: OrderScenario, monkeypatch: pytest.MonkeyPatch, held_by: str
) -> None:
    monkeypatch.setattr(order_queues, "LIMIT", 2)
    if held_by == "kill switch":
        scenario.kill(KillSwitchMode.ALL)
    else:
        scenario.connect(BrokerStatus.DISCONNECTED)
    held = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    newer = scenario.detect(scenario.open_trade(), ttl_s=0.1)

    def ended() -> bool:
        scenario.requalification.requalify_once()
        return scenario.intent(newer).status is IntentStatus.CANCELLED

    wait_until(ended, "the newer exit expires")
    for intent in held:
        scenario.expect(intent, IntentStatus.PENDING)


def test_held_exits_are_checked_page_by_page(scenario: OrderScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requalification, "HELD_PAGE", 2)
    monkeypatch.setattr(requalification, "HELD_PAUSE_S", 0.0)
    scenario.kill(KillSwitchMode.ALL)
    stops = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    target = scenario.detect(scenario.open_trade())
    scenario.last_price("1000")
    scenario.requalification.requalify_once()
    scenario.expect(target, IntentStatus.PENDING)
    scenario.requalification.requalify_once()
    assert scenario.expect(target, IntentStatus.CANCELLED).cancel_reason == "CONDITION_GONE"
    with scenario.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    for _ in range(3):
        scenario.requalification.requalify_once()
    for stop in stops:
        scenario.expect(stop, IntentStatus.REJECTED)


def test_a_page_of_held_exits_costs_as_much_as_one(scenario: OrderScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requalification, "HELD_PAUSE_S", 0.0)
    scenario.kill(KillSwitchMode.ALL)
    costs = []
    for more in (1, 20):
        held = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(more)]
        with sent_statements() as statements:
            scenario.requalification.requalify_once()
        costs.append(len(statements))
    assert costs[1] <= costs[0] <= MOST_OF_A_PAGE, costs
    for intent in held:
        assert scenario.expect(intent, IntentStatus.PENDING).version == intent.version
