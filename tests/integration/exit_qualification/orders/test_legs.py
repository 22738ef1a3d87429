"""Legs of a target ladder: an exit each, beside each other and beside the exit of the rest, never for too much."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.intent import ExitIntent, blocks
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.new_exits import is_slot_taken
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode
from shared.exit_rules.plan import ExitPlan
from shared.ids import client_order_id, new_id
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

TARGET, STOP_LOSS, TIME = ExitReason.TARGET, ExitReason.STOP_LOSS, ExitReason.TIME
LADDER = ExitPlan.model_validate(
    {
        "stop_loss": "990",
        "targets": [
            {"price": "1010", "quantity": 50},
            {"price": "1020", "quantity": 25},
            {"price": "1030", "quantity": 25},
        ],
    }
)


@pytest.fixture
def scenario(scenario: OrderScenario) -> OrderScenario:
    """A scenario with hardly any back-off."""
    return OrderScenario(
        scenario.engine, scenario.brokers, replace(scenario.terms, backoff_first_s=0.05, backoff_max_s=0.2)
    )


def _ladder(scenario: OrderScenario) -> OpenTrade:
    return scenario.open_trade(plan=LADDER)


def _fill_all(scenario: OrderScenario, broker: ScriptedBroker, price: str) -> None:
    while scenario.sender.execute_next():
        pass
    broker.price("NSE:INFY", price)
    scenario.reconciler.reconcile_once()


def test_legs_reached_together_exit_together_and_stop_takes_rest(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    trade = _ladder(scenario)
    legs = scenario.detect_all(trade, (TARGET, 1), (TARGET, 2))
    assert [(it.leg, it.quantity, it.episode_id) for it in legs] == [(1, 50, 1), (2, 25, 2)]
    _fill_all(scenario, broker, "1021")
    assert [scenario.intent(it).status for it in legs] == [IntentStatus.FILLED] * 2
    assert scenario.detect_all(trade, (TARGET, 1), (TARGET, 2)) == []
    stop = scenario.detect(trade, STOP_LOSS)
    assert (stop.leg, stop.quantity, stop.beside_leg) == (None, 25, False)
    _fill_all(scenario, broker, "990")
    scenario.expect(stop, IntentStatus.FILLED)
    assert scenario.filled_of_trade(trade.trade_id) == trade.quantity
    assert scenario.detect_all(trade, (STOP_LOSS, None), (TARGET, 3)) == []
    with scenario.engine.connect() as connection:
        keys = [RuleKey(trade.trade_id, TARGET, leg) for leg in (1, 2, 3)]
        assert sorted(ExitEpisodeRepository(connection).finished(keys)) == keys[:2]
    assert {payload["leg"] for _, payload in scenario.all_events(legs[1])} == {2}


def test_the_last_leg_takes_what_is_left(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = _ladder(scenario)
    legs = scenario.detect_all(trade, (TARGET, 1), (TARGET, 2), (TARGET, 3))
    _fill_all(scenario, broker, "1031")
    assert [scenario.intent(it).filled_quantity for it in legs] == [50, 25, 25]


def test_a_stop_withdraws_a_leg_that_waits(scenario: OrderScenario) -> None:
    trade = _ladder(scenario)
    scenario.kill(KillSwitchMode.ALL)
    (leg,) = scenario.detect_all(trade, (TARGET, 1))
    assert leg.status is IntentStatus.PENDING
    stop = scenario.detect(trade, STOP_LOSS)
    assert (stop.quantity, stop.beside_leg) == (100, False)
    assert scenario.expect(leg, IntentStatus.CANCELLED).cancel_reason == "SUPERSEDED"
    assert scenario.detect_all(trade, (TARGET, 2)) == []


def test_stop_spares_market_leg_quantity_and_takes_unfilled_rest(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    trade = _ladder(scenario)
    (leg,) = scenario.detect_all(trade, (TARGET, 1))
    assert scenario.sender.execute_next()
    stop = scenario.detect(trade, STOP_LOSS)
    assert (stop.quantity, stop.beside_leg) == (50, True)
    assert scenario.sender.execute_next()
    leg_order, stop_order = broker.order_ids
    broker.fill(stop_order, 50, "989")
    broker.fill(leg_order, 20, "1010")
    broker.end(leg_order)
    scenario.reconciler.reconcile_once()
    scenario.expect(stop, IntentStatus.FILLED)
    assert scenario.expect(leg, IntentStatus.CANCELLED).filled_quantity == 20
    scenario.last_price("1000")
    rest = scenario.go_on(stop)
    assert (rest.exit_reason, rest.quantity, rest.beside_leg) == (STOP_LOSS, 30, False)
    _fill_all(scenario, broker, "1000")
    assert scenario.filled_of_trade(trade.trade_id) == trade.quantity


def test_short_ended_leg_exits_its_rest_after_back_off(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = _ladder(scenario)
    (leg,) = scenario.detect_all(trade, (TARGET, 1))
    assert scenario.sender.execute_next()
    broker.fill(broker.order_ids[-1], 20, "1010")
    broker.end(broker.order_ids[-1])
    scenario.reconciler.reconcile_once()
    scenario.expect(leg, IntentStatus.CANCELLED)
    (other,) = scenario.detect_all(trade, (TARGET, 2))
    assert other.quantity == 25
    scenario.end_cooldown(leg)
    (again,) = scenario.detect_all(trade, (TARGET, 1))
    assert (again.leg, again.quantity) == (1, 30)


def test_a_plan_without_the_leg_cancels_the_leg_that_waits(scenario: OrderScenario) -> None:
    trade = _ladder(scenario)
    scenario.kill(KillSwitchMode.ALL)
    legs = scenario.detect_all(trade, (TARGET, 1), (TARGET, 2))
    scenario.change_plan(legs[0], targets=[{"price": "1010", "quantity": 50}], stop_loss="990")
    scenario.kill(KillSwitchMode.OFF)
    scenario.requalification.requalify_once()
    scenario.expect(legs[0], IntentStatus.APPROVED)
    assert scenario.expect(legs[1], IntentStatus.CANCELLED).cancel_reason == "CONDITION_GONE"


# the database's own limit


def test_concurrent_writers_never_want_more_than_the_trade(scenario: OrderScenario) -> None:
    (model,) = scenario.detect_all(_ladder(scenario), (TARGET, 1))
    trade = _ladder(scenario)
    start = threading.Barrier(4)
    outcomes: list[str] = []

    def write(leg: int) -> None:
        start.wait()
        try:
            outcomes.append(_insert(scenario, model, trade.trade_id, leg, 40))
        except IntegrityError as error:
            outcomes.append("too much" if "more than its quantity" in str(error) else str(error))

    threads = [threading.Thread(target=write, args=(leg,)) for leg in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["too much", "too much", "written", "written"]
    assert _wanted(scenario, trade.trade_id) == 80


def test_an_exit_in_a_taken_slot_is_refused(scenario: OrderScenario) -> None:
    trade = _ladder(scenario)
    (model,) = scenario.detect_all(trade, (TARGET, 1))
    with pytest.raises(IntegrityError) as refused:
        _insert(scenario, msgspec.structs.replace(model, quantity=1), trade.trade_id, 1, 1, episode_id=99)
    assert is_slot_taken(refused.value)
    with pytest.raises(IntegrityError, match="more than its quantity") as too_much:
        _insert(scenario, model, trade.trade_id, 2, 1000)
    assert not is_slot_taken(too_much.value)


def test_an_intent_cannot_be_raised_beyond_the_trade(scenario: OrderScenario) -> None:
    trade = _ladder(scenario)
    leg, _ = scenario.detect_all(trade, (TARGET, 1), (TARGET, 2))
    with scenario.engine.connect() as connection:
        ExitIntentRepository(connection).update(leg, quantity=75)
        with pytest.raises(IntegrityError, match="more than its quantity"):
            ExitIntentRepository(connection).update(msgspec.structs.replace(leg, version=2), quantity=76)


def _insert(
    scenario: OrderScenario, model: ExitIntent, trade_id: UUID, leg: int, quantity: int, episode_id: int | None = None
) -> str:
    intent_id, signal_id = new_id(), new_id()
    with scenario.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO exit_signals (signal_id, trade_id, symbol, direction, exit_reason, episode_id,"
                " detected_at, leg)"
                " VALUES (:signal_id, :trade_id, 'NSE:INFY', 'LONG', 'TARGET', :episode_id, now(), :leg)"
            ),
            {"signal_id": signal_id, "trade_id": trade_id, "leg": leg, "episode_id": episode_id or leg},
        )
        intent = msgspec.structs.replace(
            model,
            intent_id=intent_id,
            signal_id=signal_id,
            trade_id=trade_id,
            leg=leg,
            episode_id=episode_id or leg,
            quantity=quantity,
            client_order_id=client_order_id(intent_id),
        )
        ExitIntentRepository(connection).insert([intent])
    return "written"


def _wanted(scenario: OrderScenario, trade_id: UUID) -> int:
    with scenario.engine.connect() as connection:
        return sum(
            it.remaining for it in ExitLists(connection).oldest(ExitFilter(trade_id=trade_id), 100) if it.is_live
        )


# the domain and the database agree on the obstacles to an exit

HOLDERS = [(TARGET, 1), (TARGET, None), (STOP_LOSS, None), (TIME, None)]
WANTED = [(TARGET, 1), (TARGET, 2), (STOP_LOSS, None), (TIME, None)]
STATES = ["APPROVED", "PLACED", "FILLED", "CANCELLED", "FILLED beside"]


def test_the_database_rearms_what_the_domain_does_not_block(scenario: OrderScenario) -> None:
    for (reason, leg), state in product(HOLDERS, STATES):
        if leg is not None and state == "FILLED beside":
            continue
        (holder,) = scenario.detect_all(_ladder(scenario), (reason, leg))
        with scenario.open_unit() as uow:
            holder = _advanced(ExitIntentRepository(uow.connection), holder, state)
            uow.connection.execute(
                text("UPDATE exit_episodes SET cooldown_until = clock_timestamp() WHERE trade_id = :trade_id"),
                {"trade_id": holder.trade_id},
            )
            keys = [RuleKey(holder.trade_id, *wanted) for wanted in WANTED]
            free = [key for key in keys if not blocks(holder, key, holder.updated_at)]
            assert ExitEpisodeRepository(uow.connection).eligible(keys) == sorted(
                free, key=lambda key: (key.reason.rank, key.leg or 0)
            ), (reason, leg, state)


def _advanced(intents: ExitIntentRepository, intent: ExitIntent, state: str) -> ExitIntent:
    at = intent.created_at
    if state == "APPROVED":
        return intent
    sent = intents.mark_submitting(intent, at=at, claimed_until=at + timedelta(minutes=1))
    placed = intents.mark_placed(sent, broker_order_id="1", at=at)
    if state == "PLACED":
        return placed
    if state == "CANCELLED":
        return intents.mark_cancelled(placed, reason="BY_BROKER", at=at)
    beside = intents.update(placed, beside_leg=state == "FILLED beside")
    return intents.mark_filled(
        beside, broker_order_id="1", filled_quantity=beside.quantity, average_price=Decimal(1010), at=at
    )
