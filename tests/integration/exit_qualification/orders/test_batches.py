"""A batch of orders: each is sent once, and a switch holds back the unsent ones."""

from __future__ import annotations

from services.exit_qualification.orders.brokers.port import ExitOrder, PlaceOutcome
from services.exit_qualification.storage.send_fence import FRESH_S
from shared.contracts.vocabulary import IntentStatus, KillSwitchMode
from tests.integration.exit_qualification.orders.order_scenario import PATIENT, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.clocks import SteppedClock


class SlowerBroker(ScriptedBroker):
    """Broker with calls slower than a clearance lasts; an operator may stop exits during the first of them."""

    scenario: OrderScenario | None = None
    call_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = SteppedClock()

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        """Place the order after a while."""
        self.clock.at_s += self.call_s
        if self.scenario is not None:
            self.scenario.kill(KillSwitchMode.ALL)
            self.scenario = None
        return super().place_market_exit(order)


def test_kill_switch_stops_rest_of_slow_batch(scenario: OrderScenario) -> None:
    broker = SlowerBroker()
    scenario = OrderScenario(scenario.engine, broker, PATIENT, broker.clock)
    scenario.approved()
    assert scenario.sender.execute_next(), "the pace of a fast broker is known"
    intents = [scenario.approved() for _ in range(4)]
    broker.call_s, broker.scenario = FRESH_S * 1.5, scenario
    assert scenario.sender.execute_next()
    assert len(broker.placed) == 2
    assert sorted(scenario.intent(it).status for it in intents) == [IntentStatus.APPROVED] * 3 + [IntentStatus.PLACED]


def test_batch_sends_every_order_once_at_any_pace(scenario: OrderScenario) -> None:
    broker = SlowerBroker()
    scenario = OrderScenario(scenario.engine, broker, PATIENT, broker.clock)
    intents = []
    for call_s in (0.0, FRESH_S * 1.5, FRESH_S / 3, 0.0):
        broker.call_s = call_s
        intents += [scenario.approved() for _ in range(4)]
        assert scenario.sender.execute_next()
    assert sorted(order.tag for order in broker.placed) == sorted(it.client_order_id for it in intents)
    assert {scenario.intent(it).status for it in intents} == {IntentStatus.PLACED}


def test_a_batch_is_as_large_as_its_broker_is_quick(scenario: OrderScenario) -> None:
    broker = SlowerBroker()
    scenario = OrderScenario(scenario.engine, broker, PATIENT, broker.clock)
    sizes = []
    for call_s in (0.0, FRESH_S, 0.0):
        for _ in range(PATIENT.largest_batch + 1):
            scenario.approved()
        sent = len(broker.placed)
        broker.call_s = call_s
        assert scenario.sender.execute_next()
        sizes.append(len(broker.placed) - sent)
    assert sizes == [PATIENT.batch, PATIENT.largest_batch, PATIENT.batch], "the pace is that of the batch before"
