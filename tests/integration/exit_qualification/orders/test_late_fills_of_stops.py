"""Stops at the broker that fill after their end: late fills of an exit, as of any other ended order."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.open_trade import OpenTrade
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.ids import new_id
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.exit_qualification.orders.test_external_exits import by_hand, look
from tests.integration.exit_qualification.orders.test_protective_stops import (
    Status,
    exits_of,
    keep_until,
    protected,
    stop_of,
)


def exited(scenario: OrderScenario, broker: ScriptedBroker) -> tuple[OpenTrade, ExitIntent]:
    """A protected trade with its target filled after the cancel of its stop."""
    trade = protected(scenario, broker)
    target = scenario.detect(trade, ExitReason.TARGET)
    keep_until(scenario, trade, Status.CANCELLED)
    assert scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    return trade, scenario.expect(target, IntentStatus.FILLED)


def test_a_stop_filled_after_its_cancel_closes_the_trade(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    (order_id,) = broker.order_ids
    scenario.change_plan_of(trade, target="1010", stop_loss="990")
    keep_until(scenario, trade, Status.CANCELLED)
    broker.fill(order_id, 100, "987")
    for _ in range(2):
        scenario.compare_positions()
    assert exits_of(scenario, trade) == [], "the order is ours: nobody adopts its fills"
    for _ in range(2):
        scenario.reconciler.reconcile_once()
    (closing,) = exits_of(scenario, trade)
    assert (closing.exit_reason, closing.status, closing.average_price, closing.late_filled) == (
        ExitReason.STOP_LOSS,
        IntentStatus.FILLED,
        Decimal(987),
        True,
    )
    assert scenario.event_names(closing) == ["LateFill", "Filled"]
    assert stop_of(scenario, trade).intent_id == closing.intent_id  # type: ignore[union-attr]  # it had a stop


def test_stop_filled_after_its_trade_closed_is_told(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade, target = exited(scenario, broker)
    broker.fill(broker.order_ids[0], 100, "987")
    for _ in range(2):
        scenario.reconciler.reconcile_once()
    first, late = exits_of(scenario, trade)
    assert first == scenario.intent(target)
    assert (late.status, late.filled_quantity, late.late_filled, late.broker_order_id) == (
        IntentStatus.CANCELLED,
        100,
        True,
        broker.order_ids[0],
    )
    assert scenario.event_names(late) == ["LateFill"]
    assert scenario.filled_of_trade(trade.trade_id) == 200


def test_later_fills_of_the_stop_are_of_the_same_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade, _ = exited(scenario, broker)
    for quantity in (30, 20):
        broker.fill(broker.order_ids[0], quantity, "987")
        scenario.reconciler.reconcile_once()
    _, late = exits_of(scenario, trade)
    assert (late.status, late.filled_quantity) == (IntentStatus.CANCELLED, 50)
    assert scenario.event_names(late) == ["LateFill", "LateFill"]


def test_stop_triggered_with_nothing_left_is_recorded(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    broker.trade_by_hand(by_hand(100), "1003.50")
    look(scenario)
    broker.price(SYMBOL, "960")
    assert keep_until(scenario, trade, Status.TRIGGERED).end_reason == "NOTHING_LEFT"
    scenario.reconciler.reconcile_once()
    external, late = exits_of(scenario, trade)
    assert (external.exit_reason, external.filled_quantity) == (ExitReason.EXTERNAL, 100)
    assert (late.exit_reason, late.late_filled, late.filled_quantity) == (ExitReason.STOP_LOSS, True, 100)


def test_late_fill_of_stop_cancels_excessive_order(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    scenario.detect(trade, ExitReason.TARGET)
    keep_until(scenario, trade, Status.CANCELLED)
    broker.fault({"kind": "partial_fill", "quantity": 0})
    assert scenario.sender.execute_next()
    broker.cancels.clear()
    broker.fill(broker.order_ids[0], 30, "987")
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[1]]


def test_no_other_exit_starts_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade, _ = exited(scenario, broker)
    broker.fill(broker.order_ids[0], 30, "987")
    scenario.reconciler.reconcile_once()
    _, late = exits_of(scenario, trade)
    changes = {"intent_id": str(new_id()), "client_order_id": "A" * 20, "exit_reason": "TIME"}
    other = """INSERT INTO exit_intents SELECT (json_populate_record(i, CAST(:changes AS json))).*
                 FROM exit_intents i WHERE intent_id = :intent_id"""
    with pytest.raises(IntegrityError, match="cannot start as CANCELLED"), scenario.engine.begin() as connection:
        connection.execute(text(other), {"intent_id": late.intent_id, "changes": json.dumps(changes)})
