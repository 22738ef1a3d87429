"""A locked row delays the orders of its own trade alone, in every loop of the order process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.orders.skipped_trades import FORGET_S
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.runtime.waiting_work import CONDITION
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.row_locks import held_row
from tests.support.servers import Database
from tests.support.waiting import wait_until

SCHEMA = "exit_qualification"
HELD = {
    "the trade": "SELECT 1 FROM open_trades WHERE trade_id = '{i.trade_id}'",
    "the intent": "SELECT 1 FROM exit_intents WHERE intent_id = '{i.intent_id}'",
    "the sequence": "SELECT 1 FROM outbox_sequence WHERE key = '{i.trade_id}'",
    "the episode": "SELECT 1 FROM exit_episodes WHERE trade_id = '{i.trade_id}'",
}


def sending(
    scenario: OrderScenario, broker: ScriptedBroker
) -> tuple[list[ExitIntent], Callable[[], object], IntentStatus]:
    """Exits waiting to be sent; the books tell an outcome if it could not be written."""

    def step() -> bool:
        return scenario.sender.execute_next() or scenario.reconciler.reconcile_once()

    return [scenario.approved() for _ in range(3)], step, IntentStatus.PLACED


def requalifying(
    scenario: OrderScenario, broker: ScriptedBroker
) -> tuple[list[ExitIntent], Callable[[], object], IntentStatus]:
    """Exits after a wait for their broker, now back."""
    scenario.connect(BrokerStatus.DISCONNECTED)
    intents = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(3)]
    scenario.connect(BrokerStatus.CONNECTED)
    return intents, scenario.requalification.requalify_once, IntentStatus.APPROVED


def reconciling(
    scenario: OrderScenario, broker: ScriptedBroker
) -> tuple[list[ExitIntent], Callable[[], object], IntentStatus]:
    """Orders cancelled at the broker."""
    intents = [scenario.placed() for _ in range(3)]
    for order_id in broker.order_ids:
        broker.end(order_id)
    return intents, scenario.reconciler.reconcile_once, IntentStatus.CANCELLED


LOOPS = [sending, requalifying, reconciling]


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: str(loop.__name__))
def test_a_held_row_delays_its_own_exit_alone(
    loop: Callable[[OrderScenario, ScriptedBroker], tuple[list[ExitIntent], Callable[[], object], IntentStatus]],
    held: str,
    scenario: OrderScenario,
    broker: ScriptedBroker,
    database: Database,
) -> None:
    (stuck, *others), step, after = loop(scenario, broker)
    with held_row(database.admin_url, SCHEMA, HELD[held].format(i=stuck)):
        wait_until(
            lambda: bool(step() or True) and all(scenario.intent(other).status is after for other in others),
            "the other exits go on",
        )
    wait_until(lambda: bool(step() or True) and scenario.intent(stuck).status is after, "the exit goes on by itself")


def test_a_held_trade_delays_its_own_remainder_alone(
    scenario: OrderScenario, broker: ScriptedBroker, database: Database
) -> None:
    stops = [scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS) for _ in range(2)]
    while scenario.sender.execute_next():
        pass
    for order_id in broker.order_ids:
        broker.end(order_id)
    scenario.reconciler.reconcile_once()
    stuck, other = stops
    with held_row(database.admin_url, SCHEMA, HELD["the trade"].format(i=stuck)):
        assert scenario.go_on(other).exit_reason is ExitReason.STOP_LOSS
        assert not scenario.intents_after(stuck)
    assert scenario.go_on(stuck).exit_reason is ExitReason.STOP_LOSS


def test_an_outcome_that_cannot_be_written_is_reconciled(
    quick_scenario: OrderScenario, broker: ScriptedBroker, database: Database
) -> None:
    intent = quick_scenario.approved()
    row = held_row(database.admin_url, SCHEMA, HELD["the trade"].format(i=intent))
    broker.on_place = row.__enter__
    assert quick_scenario.sender.execute_next()
    quick_scenario.expect(intent, IntentStatus.SUBMITTING)
    quick_scenario.skipped.show()
    row.__exit__(None, None, None)
    wait_until(
        lambda: (
            bool(quick_scenario.reconciler.reconcile_once() or True)
            and quick_scenario.intent(intent).status is IntentStatus.PLACED
        ),
        "the books decide",
    )
    assert len(broker.order_ids) == 1


def test_what_is_skipped_is_shown_until_it_has_gone_on(scenario: OrderScenario) -> None:
    trade_id = scenario.open_trade().trade_id
    scenario.skipped.note(trade_id)
    since, last, why = scenario.skipped._skipped[trade_id]
    scenario.skipped._skipped[trade_id] = since - 20, last, why
    scenario.skipped.show()
    assert f"trade {trade_id} waits for 2" in scenario.health.problems()[CONDITION]
    scenario.skipped._skipped[trade_id] = since - 20, last - FORGET_S - 1, why
    scenario.skipped.show()
    assert CONDITION not in scenario.health.problems()
