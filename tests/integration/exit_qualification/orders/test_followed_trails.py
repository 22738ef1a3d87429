"""Protective stops behind a trailing stop: in whole steps, in place, by the stored states."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from shared.contracts.vocabulary import ProtectiveStopStatus
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.exit_qualification.orders.test_protective_stops import (
    exits_of,
    keep_until,
    protected,
    reported,
    stop_of,
)
from tests.support.waiting import wait_until

Status = ProtectiveStopStatus
TRAILED: dict[str, Any] = {"trailing_stop": {"amount": "5"}, "protective_stop": {"offset": "2", "trail_step": "1"}}


def test_a_stop_follows_the_trailing_stop_in_whole_steps(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker, plan=TRAILED)
    assert (held := stop_of(scenario, trade)) is not None and held.trigger_price == Decimal(993)
    for tick, (best, trigger, changes) in enumerate([("1000.90", 993, 0), ("1001.00", 994, 1), ("1004.50", 997, 2)], 1):
        broker.price(SYMBOL, best)
        scenario.best_price(best, tick)
        scenario.stops.keep_once()
        armed = keep_until(scenario, trade, Status.ARMED)
        assert (armed.trigger_price, broker.changes, armed.changes) == (Decimal(trigger), changes, changes)
    assert (len(broker.placed), reported(scenario, armed)) == (1, ["ARMED"] * 3)
    broker.price(SYMBOL, "996")  # gone through while no tick was judged
    stop = keep_until(scenario, trade, Status.TRIGGERED)
    scenario.reconciler.reconcile_once()
    (exit_,) = exits_of(scenario, trade)
    assert (exit_.intent_id, exit_.filled_quantity, exit_.average_price) == (stop.intent_id, 100, Decimal(996))


def test_a_changed_trail_lowers_the_stop_in_one_change(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker, plan=TRAILED)
    scenario.best_price("1004.00", 1)
    broker.price(SYMBOL, "1004")
    assert keep_until_changed(scenario, trade, broker, 1).trigger_price == Decimal(997)
    scenario.change_plan_of(trade, **{**TRAILED, "trailing_stop": {"amount": "9"}})
    armed = keep_until_changed(scenario, trade, broker, 2)
    assert armed.trigger_price == Decimal(993)  # 1004 - 9 - 2


def keep_until_changed(
    scenario: OrderScenario, trade: OpenTrade, broker: ScriptedBroker, changes: int
) -> ProtectiveStop:
    """Run passes until so many changes were requested and the book shows the last."""

    def is_reached() -> bool:
        return keep_until(scenario, trade, Status.ARMED) is not None and broker.changes == changes

    wait_until(is_reached, f"{changes} changes were requested")
    return keep_until(scenario, trade, Status.ARMED)
