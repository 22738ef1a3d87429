"""Under kill switch ALL, no order reaches the broker after the acknowledgement except the named ones."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from services.exit_qualification import kill_switch_service
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.kill_switch_service import KillSwitchService, KillSwitchSet
from services.exit_qualification.orders.brokers.port import ExitOrder, PlaceOutcome
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode
from shared.postgres.audit import Act
from tests.integration.exit_qualification.orders.order_scenario import PATIENT, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import LIMIT_S, wait_until

SENDERS = 4
ROUNDS = 2
EXITS_A_ROUND = 12
EAGER = replace(PATIENT, backoff_first_s=0.05)


class TimedBroker(ScriptedBroker):
    """A scripted broker with a list of arrived orders, in order, and a delay for each."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.arrived: list[str] = []
        self._random = random.Random(seed)  # a schedule, not a secret

    def port(self, user_broker: object) -> TimedBroker:
        return self

    def place_market_exit(self, order: ExitOrder) -> PlaceOutcome:
        time.sleep(self._random.uniform(0, 0.02))
        self.arrived.append(order.tag)
        outcome = super().place_market_exit(order)
        time.sleep(self._random.uniform(0, 0.02))
        return outcome


def kill(scenario: OrderScenario) -> KillSwitchSet:
    return KillSwitchService(scenario.clock).put(scenario.open_unit, KillSwitchMode.ALL, Act("test", "stop"))


@contextmanager
def sending(scenario: OrderScenario, senders: int = SENDERS) -> Iterator[None]:
    """While inside, so many threads send the free exits."""
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            if not scenario.sender.execute_next():
                stop.wait(0.005)

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(LIMIT_S)


@pytest.mark.parametrize("seed", range(2))
def test_after_the_answer_no_order_arrives_but_those_it_names(exit_engine: Engine, seed: int) -> None:
    broker = TimedBroker(seed)
    scenario, chance = OrderScenario(exit_engine, broker, EAGER), random.Random(seed)  # a schedule, not a secret
    with sending(scenario):
        for _ in range(ROUNDS):
            sent = len(broker.arrived)
            intents = [scenario.approved() for _ in range(EXITS_A_ROUND)]
            at_least = sent + chance.randrange(1, EXITS_A_ROUND - SENDERS)
            wait_until(lambda at_least=at_least: len(broker.arrived) >= at_least, "some are sent")  # type: ignore[misc]  # bound now
            answer = kill(scenario)
            arrived, named = set(broker.arrived), {intent.client_order_id for intent in answer.on_their_way}
            manual = scenario.detect(scenario.open_trade(), ExitReason.MANUAL)
            wait_until(
                lambda manual=manual: scenario.intent(manual).status is IntentStatus.PLACED,  # type: ignore[misc]  # bound now
                "a manual exit passes",
            )
            assert set(broker.arrived) - arrived <= named | {manual.client_order_id}
            scenario.kill(KillSwitchMode.OFF)
            wait_until(lambda: all(_is_placed(scenario, intent) for intent in intents), "the others go on")  # noqa: B023
    assert len(broker.arrived) == len(set(broker.arrived)) == ROUNDS * (EXITS_A_ROUND + 1)


def _is_placed(scenario: OrderScenario, intent: ExitIntent) -> bool:
    return scenario.intent(intent).status is IntentStatus.PLACED


def stalled(broker: ScriptedBroker) -> tuple[threading.Event, threading.Event]:
    """Make the broker's next call reach its door and wait there: (has reached it, may go on)."""
    reached, go_on = threading.Event(), threading.Event()

    def wait_at_the_door() -> None:
        reached.set()
        assert go_on.wait(LIMIT_S)

    broker.on_place = wait_at_the_door
    return reached, go_on


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(LIMIT_S)


def test_the_switch_waits_for_a_sender_past_the_fence(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.approved()
    reached, go_on = stalled(broker)
    answers: list[KillSwitchSet] = []
    with in_thread(scenario.sender.execute_next):
        assert reached.wait(LIMIT_S)
        with in_thread(lambda: answers.append(kill(scenario))):
            wait_until(lambda: scenario.switches().kill_switch is KillSwitchMode.ALL, "the switch is set")
            assert answers == []
            go_on.set()
    assert answers[0].on_their_way == []
    scenario.expect(intent, IntentStatus.PLACED)


def test_an_order_whose_sender_stalls_past_the_wait_is_named(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill_switch_service, "OUTWAIT_S", 0.2)
    intent = scenario.approved()
    reached, go_on = stalled(broker)
    with in_thread(scenario.sender.execute_next):
        assert reached.wait(LIMIT_S)
        assert [each.intent_id for each in kill(scenario).on_their_way] == [intent.intent_id]
        go_on.set()


class SwitchedMeanwhile(ScriptedBroker):
    """A broker asked for inside the transaction of the claim; it sets the kill switch there."""

    def __init__(self, scenario: Callable[[], OrderScenario]) -> None:
        super().__init__()
        self._floor = scenario

    def port(self, user_broker: object) -> SwitchedMeanwhile:
        self._floor().kill(KillSwitchMode.ALL)
        return self


def test_a_claim_begun_before_the_switch_is_returned(exit_engine: Engine) -> None:
    broker = SwitchedMeanwhile(lambda: scenario)
    scenario = OrderScenario(exit_engine, broker)
    intent = scenario.approved()
    assert scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.APPROVED)
    assert broker.order_ids == []
