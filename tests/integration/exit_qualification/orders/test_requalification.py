"""Exits that wait are asked again, and given up when their time or their reason is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders import requalification
from services.exit_qualification.storage import order_queues
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode, RolloutMode
from tests.integration.exit_qualification.orders.floor import Floor, wait_until
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker


def test_a_deferred_exit_goes_on_when_its_gate_opens(floor: Floor) -> None:
    floor.kill(KillSwitchMode.ALL)
    intent = floor.detect(floor.open_trade())
    floor.requalification.requalify_once()
    assert floor.expect(intent, IntentStatus.PENDING).version == intent.version
    floor.kill(KillSwitchMode.OFF)
    floor.requalification.requalify_once()
    approved = floor.expect(intent, IntentStatus.APPROVED)
    assert {gate["verdict"] for gate in approved.gates} == {"PASS"}
    assert [name for name, _ in floor.all_events(intent)] == ["Approved"]
    assert floor.sender.execute_next()


def test_a_deferred_exit_waits_for_its_broker(floor: Floor) -> None:
    floor.connect(BrokerStatus.DISCONNECTED)
    intent = floor.detect(floor.open_trade())
    floor.requalification.requalify_once()
    floor.expect(intent, IntentStatus.PENDING)
    floor.connect(BrokerStatus.CONNECTED)
    floor.requalification.requalify_once()
    floor.expect(intent, IntentStatus.APPROVED)


def test_a_waiting_target_is_cancelled_when_the_market_returns(floor: Floor) -> None:
    floor.kill(KillSwitchMode.ALL)
    intent = floor.detect(floor.open_trade())
    floor.last_price("1010")
    floor.requalification.requalify_once()
    floor.expect(intent, IntentStatus.PENDING)
    floor.last_price("1009.95")
    floor.kill(KillSwitchMode.OFF)
    floor.requalification.requalify_once()
    assert floor.expect(intent, IntentStatus.CANCELLED).cancel_reason == "CONDITION_GONE"
    assert floor.event_names(intent) == ["Cancelled"]
    assert floor.cooldown_s(intent) <= 1


@pytest.mark.parametrize("reason", [ExitReason.STOP_LOSS, ExitReason.MANUAL])
def test_waiting_stops_and_manual_exits_ignore_the_market(floor: Floor, reason: ExitReason) -> None:
    floor.connect(BrokerStatus.DISCONNECTED)
    intent = floor.detect(floor.open_trade(), reason, ttl_s=0.01)
    floor.last_price("1000")
    floor.connect(BrokerStatus.CONNECTED)
    floor.requalification.requalify_once()
    floor.expect(intent, IntentStatus.APPROVED)


@pytest.mark.parametrize("mode", [KillSwitchMode.OFF, KillSwitchMode.ALL])
def test_an_exit_that_was_not_sent_in_its_time_expires(floor: Floor, mode: KillSwitchMode) -> None:
    floor.kill(mode)
    intent = floor.detect(floor.open_trade(), ttl_s=0.1)

    def ended() -> bool:
        floor.requalification.requalify_once()
        return floor.intent(intent).status is IntentStatus.CANCELLED

    wait_until(ended, "the exit expires")
    assert floor.intent(intent).cancel_reason == "EXPIRED"
    assert not floor.sender.execute_next()


def test_a_waiting_exit_of_a_trade_that_closed_is_rejected(floor: Floor) -> None:
    floor.kill(KillSwitchMode.ALL)
    intent = floor.detect(floor.open_trade())
    with floor.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    floor.requalification.requalify_once()
    assert floor.expect(intent, IntentStatus.REJECTED).errors[0]["code"] == "TRADE_OPEN"
    assert floor.event_names(intent) == ["Rejected"]


def test_a_dark_exit_is_cancelled_exactly_after_its_cooldown(floor: Floor, broker: ScriptedBroker) -> None:
    floor.roll_out(RolloutMode.DARK)
    early = floor.detect(floor.open_trade(), cooldown_s=60)
    late = floor.detect(floor.open_trade(), cooldown_s=0.1)

    def ended() -> bool:
        floor.requalification.requalify_once()
        return floor.intent(late).status is IntentStatus.CANCELLED

    wait_until(ended, "the dark exit ends")
    assert floor.intent(late).cancel_reason == "DARK"
    floor.expect(early, IntentStatus.APPROVED)
    assert broker.placed == []
    assert floor.failures(late) == 0, "no order failed, so that nothing backs off"


@pytest.mark.parametrize("held_by", ["kill switch", "broker"])
def test_held_exits_do_not_delay_newer_ones(floor: Floor, monkeypatch: pytest.MonkeyPatch, held_by: str) -> None:
    monkeypatch.setattr(order_queues, "LIMIT", 2)
    if held_by == "kill switch":
        floor.kill(KillSwitchMode.ALL)
    else:
        floor.connect(BrokerStatus.DISCONNECTED)
    held = [floor.detect(floor.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    newer = floor.detect(floor.open_trade(), ttl_s=0.1)

    def ended() -> bool:
        floor.requalification.requalify_once()
        return floor.intent(newer).status is IntentStatus.CANCELLED

    wait_until(ended, "the newer exit expires")
    for intent in held:
        floor.expect(intent, IntentStatus.PENDING)


def test_held_exits_are_checked_page_by_page(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requalification, "HELD_PAGE", 2)
    monkeypatch.setattr(requalification, "HELD_PAUSE", timedelta())
    floor.kill(KillSwitchMode.ALL)
    stops = [floor.detect(floor.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    target = floor.detect(floor.open_trade())
    floor.last_price("1000")
    floor.requalification.requalify_once()
    floor.expect(target, IntentStatus.PENDING)
    floor.requalification.requalify_once()
    assert floor.expect(target, IntentStatus.CANCELLED).cancel_reason == "CONDITION_GONE"
    with floor.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    for _ in range(3):
        floor.requalification.requalify_once()
    for stop in stops:
        floor.expect(stop, IntentStatus.REJECTED)
