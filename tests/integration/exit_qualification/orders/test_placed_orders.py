"""Orders filled at once are recorded as filled without a pass of the reconciler."""

from __future__ import annotations

import threading

from sqlalchemy import Engine

from services.exit_qualification.orders.accounts.account_readers import AccountReaders
from services.exit_qualification.orders.reconciling.placed_orders import PlacedOrders
from services.exit_qualification.orders.sending.order_execution_service import OrderExecutionService, SenderHooks
from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import LIMIT_S, wait_until


def sender_of(scenario: OrderScenario, open_orders: threading.Event) -> OrderExecutionService:
    """A sender with a read of orders once placed; the event is set if a pass has to go on with one."""
    readers = AccountReaders(LIMIT_S)
    placed = PlacedOrders(scenario.brokers, readers, scenario.outcomes, on_open=open_orders.set)
    hooks = SenderHooks(on_placed=placed.look)
    return OrderExecutionService(scenario.context, scenario.race, scenario.outcomes, hooks)


def test_orders_that_fill_at_once_need_no_pass(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    open_orders = threading.Event()
    sender = sender_of(scenario, open_orders)
    broker.price(SYMBOL, "1010")
    for orders in (1, 4):
        intents = [scenario.approved() for _ in range(orders)]
        assert sender.execute_next()
        wait_until(
            lambda those=intents: {scenario.intent(it).status for it in those} == {IntentStatus.FILLED},  # type: ignore[misc]  # bound now
            "all are filled",
        )
        assert [scenario.event_names(it) for it in intents] == [["Placed", "Filled"]] * orders
    assert not open_orders.is_set()


def test_open_or_unreadable_order_is_left_to_pass(
    exit_engine: Engine, scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    for is_blind in (False, True):
        open_orders = threading.Event()
        broker.is_blind = is_blind
        intent = scenario.approved()
        assert sender_of(scenario, open_orders).execute_next()
        assert open_orders.wait(LIMIT_S)
        scenario.expect(intent, IntentStatus.PLACED)
