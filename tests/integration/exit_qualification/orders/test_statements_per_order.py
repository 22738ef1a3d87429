"""The cost of sending and filling in statements: it grows with batches, not with orders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.contracts.vocabulary import IntentStatus
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.statements import sent_statements, waits

MOST_TO_SEND = 13
"""For a batch: the claim with its clearance, and the record of the broker's answers."""

MOST_TO_SEND_AND_FILL = 16
"""For a batch filled at once: the claim with its clearance, and one record of answers and fills."""

MOST_WAITS = 5
"""For the answers to these statements, each of which other work of a busy machine can come between."""

MOST_TO_FILL = 12
"""For the orders of an account: the look, the fills and their outcomes."""

STEPS = ["-- exit_intents.submit:", "-- order_budgets.take:", "-- exit_intents.may_still_be_sent:"]


def counted(work: Callable[[], object]) -> int:
    with sent_statements() as statements:
        work()
    return len(statements)


@pytest.fixture(autouse=True)
def no_call_takes_time(scenario: OrderScenario) -> None:
    """However busy the machine is, a clearance covers a whole batch."""
    scenario.clock.monotonic = lambda: 0.0  # type: ignore[method-assign]  # of this scenario alone


def test_a_batch_costs_as_many_statements_as_one_order(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    costs = []
    for orders in (1, 1, 10):
        intents = [scenario.approved() for _ in range(orders)]
        sent = counted(scenario.sender.execute_next)
        broker.price(SYMBOL, "1010")
        filled = counted(scenario.reconciler.reconcile_once)
        assert {scenario.intent(intent).status for intent in intents} == {IntentStatus.FILLED}
        costs.append((sent, filled))
    _, one, batch = costs  # the first reads the calendars too
    assert batch[0] <= one[0] <= MOST_TO_SEND, costs
    assert batch[1] <= one[1] <= MOST_TO_FILL, costs


def test_an_exit_that_fills_at_once_costs_one_record(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1010")
    sender, costs = scenario.sender_that_reads(), []
    for orders in (1, 1, 4):
        intents = [scenario.approved() for _ in range(orders)]
        costs.append(counted(sender.execute_next))
        assert {scenario.intent(it).status for it in intents} == {IntentStatus.FILLED}
    _, one, batch = costs  # the first reads the calendars too
    assert batch <= one <= MOST_TO_SEND_AND_FILL, costs


def test_an_exit_filled_at_once_rarely_waits_for_the_server(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1010")
    sender = scenario.sender_that_reads()
    for orders in (1, 4):
        intents = [scenario.approved() for _ in range(orders)]
        with waits() as waited:
            sender.execute_next()
        assert {scenario.intent(it).status for it in intents} == {IntentStatus.FILLED}
    assert len(waited) <= MOST_WAITS, waited


def test_budget_of_immediate_orders_is_taken_with_their_claim(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    for orders in (1, 3):
        for _ in range(orders):
            scenario.approved()
        with sent_statements() as statements:
            scenario.sender.execute_next()
        steps = [name for each in statements for name in STEPS if name in each]
        assert steps == STEPS, "no transaction between the claim and the last look before the call"
