"""What sending and filling costs in statements: it grows with batches, not with orders."""

from __future__ import annotations

from collections.abc import Callable

from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.statements import sent_statements

MOST_TO_SEND = 18
"""For a batch: the claim, the clearance and the record of the broker's answers."""

MOST_TO_FILL = 14
"""For the orders of an account: the look, the fills and their outcomes."""


def counted(work: Callable[[], object]) -> int:
    with sent_statements() as statements:
        work()
    return len(statements)


def test_a_batch_costs_as_many_statements_as_one_order(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    costs = []
    for orders in (1, 10):
        intents = [scenario.approved() for _ in range(orders)]
        sent = counted(scenario.sender.execute_next)
        broker.price(SYMBOL, "1010")
        filled = counted(scenario.reconciler.reconcile_once)
        assert {scenario.intent(intent).status for intent in intents} == {IntentStatus.FILLED}
        costs.append((sent, filled))
    assert costs[1][0] <= costs[0][0] + 3, "the first batch measures the broker's speed, one order at a time"
    assert costs[1][1] <= costs[0][1]
    assert all(sent <= MOST_TO_SEND and filled <= MOST_TO_FILL for sent, filled in costs), costs
