"""Protective stops: armed once confirmed, in step with the plan, never beside another exit."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.open_trade import OpenTrade
from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.protective_stop import MOST_CHANGES, ProtectiveStop
from services.exit_qualification.orders.accounts.token_watch import TokenWatch
from services.exit_qualification.orders.brokers.port import BrokerUnavailable, TokenExpired
from services.exit_qualification.orders.protection.protective_stops import ProtectiveStops
from services.exit_qualification.storage.exit_lists import ExitFilter, ExitLists
from services.exit_qualification.storage.order_updates import notify_order_update
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.contracts.vocabulary import (
    Direction,
    ExitReason,
    IntentStatus,
    KillSwitchMode,
    ProductType,
    ProtectiveStopStatus,
    RolloutMode,
)
from shared.exit_rules.plan import ExitPlan
from tests.integration.exit_qualification.orders.order_scenario import SYMBOL, OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import wait_until

PLAN: dict[str, Any] = {"target": "1010", "stop_loss": "990", "protective_stop": {"offset": "2"}}
Status = ProtectiveStopStatus


def protected(scenario: OrderScenario, broker: ScriptedBroker, **trade: Any) -> OpenTrade:
    """A trade with an armed stop, and its market at 1000."""
    broker.price(SYMBOL, "1000")
    plan = ExitPlan.model_validate(trade.pop("plan", PLAN))
    opened = scenario.open_trade(**{"plan": plan, **trade})
    keep_until(scenario, opened, Status.ARMED)
    return opened


def stop_of(scenario: OrderScenario, trade: OpenTrade) -> ProtectiveStop | None:
    """The latest stop of a trade."""
    with scenario.engine.connect() as connection:
        return ProtectiveStopRepository(connection).of_trade(trade.trade_id)


def keep_until(scenario: OrderScenario, trade: OpenTrade, status: ProtectiveStopStatus) -> ProtectiveStop:
    """Run passes until the trade's latest stop has a status."""

    def is_reached() -> bool:
        scenario.stops = ProtectiveStops(scenario.context)  # each pass as after a restart: nothing is kept in memory
        scenario.stops.keep_once()
        stop = stop_of(scenario, trade)
        return stop is not None and stop.status is status

    wait_until(is_reached, f"the stop is {status}, not {stop_of(scenario, trade)}")
    stop = stop_of(scenario, trade)
    assert stop is not None
    return stop


def exits_of(scenario: OrderScenario, trade: OpenTrade) -> list[Any]:
    """Every exit of a trade, oldest first."""
    with scenario.engine.connect() as connection:
        return ExitLists(connection).oldest(ExitFilter(trade_id=trade.trade_id), 100)


def reported(scenario: OrderScenario, stop: ProtectiveStop) -> list[str]:
    """The statuses in the events of a stop."""
    with scenario.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT payload FROM outbox_event WHERE ce_subject = :stop ORDER BY sequence"),
            {"stop": str(stop.stop_id)},
        )
        return [json.loads(bytes(row.payload))["status"] for row in rows]


def test_a_stop_is_armed_only_once_the_book_shows_it(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    trade = scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    broker.is_blind = True
    for _ in range(3):
        scenario.stops.keep_once()
    placing = stop_of(scenario, trade)
    assert placing is not None and placing.status is Status.PLACING
    assert (len(broker.placed), reported(scenario, placing)) == (1, [])
    broker.is_blind = False
    armed = keep_until(scenario, trade, Status.ARMED)
    assert (armed.trigger_price, armed.quantity, len(broker.placed)) == (Decimal(988), 100, 1)
    assert reported(scenario, armed) == ["ARMED"]


def test_plans_without_a_stop_at_the_broker_have_none(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    trade = scenario.open_trade()
    scenario.stops.keep_once()
    assert (stop_of(scenario, trade), broker.placed) == (None, [])


@pytest.mark.parametrize(
    ("direction", "trigger", "gap"), [(Direction.LONG, "988", "950"), (Direction.SHORT, "1012", "1050")]
)
def test_a_triggered_stop_becomes_the_one_exit_of_its_trade(
    scenario: OrderScenario, broker: ScriptedBroker, direction: Direction, trigger: str, gap: str
) -> None:
    mirrored = {"target": "990", "stop_loss": "1010", "protective_stop": {"offset": "2"}}
    plan = PLAN if direction is Direction.LONG else mirrored
    trade = protected(scenario, broker, direction=direction, plan=plan)
    broker.price(SYMBOL, gap)
    waiting = scenario.detect(trade, ExitReason.STOP_LOSS)  # our own exit of the same move is withdrawn
    stop = keep_until(scenario, trade, Status.TRIGGERED)
    assert stop.trigger_price == Decimal(trigger)
    assert not scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    withdrawn, exit_ = exits_of(scenario, trade)
    assert (withdrawn.intent_id, withdrawn.status) == (waiting.intent_id, IntentStatus.CANCELLED)
    assert (exit_.intent_id, exit_.status, exit_.exit_reason) == (
        stop.intent_id,
        IntentStatus.FILLED,
        ExitReason.STOP_LOSS,
    )
    assert (exit_.filled_quantity, exit_.average_price) == (100, Decimal(gap))
    assert [name for name, _ in scenario.all_events(exit_)] == ["Approved", "Placed", "Filled"]
    assert reported(scenario, stop) == ["ARMED", "TRIGGERED"]
    scenario.stops.keep_once()
    assert len(broker.placed) == 1


def test_another_exit_waits_until_the_stop_is_cancelled(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    broker.is_deaf_to_cancels = True
    intent = scenario.detect(trade, ExitReason.TARGET)
    assert not scenario.sender.execute_next()
    keep_until(scenario, trade, Status.CANCELLING)
    assert not scenario.sender.execute_next()
    broker.is_deaf_to_cancels = False
    ended = keep_until(scenario, trade, Status.CANCELLED)
    assert (ended.end_reason, reported(scenario, ended)) == ("EXIT", ["ARMED", "CANCELLED"])
    assert scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)
    scenario.stops.keep_once()
    assert (len(broker.placed), len(exits_of(scenario, trade))) == (2, 1)


def test_an_exit_behind_a_stop_shows_a_refused_token(
    scenario: OrderScenario, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade = protected(scenario, broker)
    intent = scenario.detect(trade, ExitReason.TARGET)

    def refuse(*_: object) -> None:
        raise TokenExpired("the session has ended")

    with monkeypatch.context() as patched:
        for call in ("cancel", "order", "orders"):
            patched.setattr(broker, call, refuse)
        with pytest.raises(BrokerUnavailable):
            scenario.stops.keep_once()
        TokenWatch(scenario.open_unit, scenario.brokers, scenario.clock).look_once()
    assert scenario.expect(intent, IntentStatus.APPROVED).error_code == "TOKEN_EXPIRED"
    assert scenario.switches().brokers["paper"].token_refused
    scenario.stops.keep_once()
    assert broker.cancels == [], "an account with a refused token is left alone"
    TokenWatch(scenario.open_unit, scenario.brokers, scenario.clock).look_once()
    keep_until(scenario, trade, Status.CANCELLED)
    assert scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.PLACED).error_code is None


def test_stop_filling_during_cancellation_is_the_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    broker.is_deaf_to_cancels = True
    intent = scenario.detect(trade, ExitReason.TARGET)
    keep_until(scenario, trade, Status.CANCELLING)
    broker.price(SYMBOL, "960")
    stop = keep_until(scenario, trade, Status.TRIGGERED)
    scenario.expect(intent, IntentStatus.CANCELLED)
    scenario.reconciler.reconcile_once()
    assert [(it.intent_id, it.status) for it in exits_of(scenario, trade)][1:] == [
        (stop.intent_id, IntentStatus.FILLED)
    ]
    assert not scenario.sender.execute_next()


def test_a_stop_filled_in_part_exits_the_rest_anew(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault({"kind": "partial_fill", "quantity": 40})
    trade = protected(scenario, broker)
    broker.price(SYMBOL, "970")
    keep_until(scenario, trade, Status.TRIGGERED)
    scenario.reconciler.reconcile_once()
    (partly,) = exits_of(scenario, trade)
    assert (partly.status, partly.filled_quantity) == (IntentStatus.PARTIALLY_FILLED, 40)
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    rest = scenario.go_on(scenario.expect(partly, IntentStatus.CANCELLED))
    assert (rest.quantity, rest.exit_reason) == (60, ExitReason.STOP_LOSS)
    assert scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    assert scenario.filled_of_trade(trade.trade_id) == 100


def test_a_changed_plan_changes_the_order_in_place(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    scenario.change_plan_of(trade, **{**PLAN, "stop_loss": "995"})
    broker.is_deaf_to_changes = True
    keep_until(scenario, trade, Status.REPLACING)
    broker.is_deaf_to_changes = False
    with scenario.engine.begin() as connection:
        connection.execute(text("UPDATE protective_stops SET asked_at = asked_at - interval '1 minute'"))
    armed = keep_until(scenario, trade, Status.ARMED)
    assert (armed.trigger_price, len(broker.placed), broker.changes) == (Decimal(993), 1, 1)
    assert reported(scenario, armed) == ["ARMED", "ARMED"]


def test_a_plan_without_the_stop_cancels_it(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    scenario.change_plan_of(trade, target="1010", stop_loss="990")
    assert keep_until(scenario, trade, Status.CANCELLED).end_reason == "PLAN_CHANGED"
    scenario.stops.keep_once()
    assert len(broker.placed) == 1


def test_position_partly_closed_by_hand_lowers_stop(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    with scenario.engine.begin() as connection:
        connection.execute(text("UPDATE open_trades SET quantity = 60"))
    scenario.stops.keep_once()
    armed = keep_until(scenario, trade, Status.ARMED)
    assert (armed.quantity, broker.changes) == (60, 1)


def test_leg_exits_at_market_without_stop_and_rest_is_reprotected(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    ladder = {**PLAN, "target": None, "targets": [{"price": "1010", "quantity": 40}]}
    trade = protected(scenario, broker, plan={key: value for key, value in ladder.items() if value is not None})
    (leg,) = scenario.detect_all(trade, (ExitReason.TARGET, 1))
    keep_until(scenario, trade, Status.CANCELLED)
    assert scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    scenario.expect(leg, IntentStatus.FILLED)
    assert keep_until(scenario, trade, Status.ARMED).quantity == 60
    broker.price(SYMBOL, "950")
    stop = keep_until(scenario, trade, Status.TRIGGERED)
    scenario.reconciler.reconcile_once()
    (rest,) = [each for each in exits_of(scenario, trade) if each.intent_id == stop.intent_id]
    assert (rest.status, rest.quantity, scenario.filled_of_trade(trade.trade_id)) == (IntentStatus.FILLED, 60, 100)


@pytest.mark.parametrize("fault", [{"kind": "drop_answer"}, {"kind": "reject", "message": "RMS"}])
def test_an_unclear_answer_is_decided_by_the_book(
    scenario: OrderScenario, broker: ScriptedBroker, fault: dict[str, Any]
) -> None:
    broker.price(SYMBOL, "1000")
    trade = scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    broker.fault(fault)
    expected = Status.ARMED if fault["kind"] == "drop_answer" else Status.FAILED
    stop = keep_until(scenario, trade, expected)
    assert len(broker.placed) == 1
    if expected is Status.FAILED:
        assert (stop.end_reason, stop.error_message) == ("REJECTED_BY_BROKER", "RMS")
        scenario.stops.keep_once()
        assert len(broker.placed) == 1, "the next attempt waits"


def test_an_order_that_never_arrived_is_placed_again(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    trade = quick_scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    broker.fault({"kind": "refuse", "error_type": "NetworkException", "http_status": 503})
    stop = keep_until(quick_scenario, trade, Status.FAILED)
    assert (stop.end_reason, broker.placed) == ("NEVER_PLACED", [])


def test_a_rate_limit_lets_the_stop_wait(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    trade = scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    broker.fault({"kind": "refuse", "error_type": "NetworkException", "http_status": 429})
    scenario.stops.keep_once()
    waiting = stop_of(scenario, trade)
    assert waiting is not None and (waiting.status, waiting.error_code) == (Status.WANTED, "NOT_ACCEPTED")
    keep_until(scenario, trade, Status.ARMED)


def test_gates_hold_a_stop_back(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    scenario.kill(KillSwitchMode.ALL)
    trade = scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    assert keep_until(scenario, trade, Status.WANTED).error_code in (None, "KILL_SWITCH")
    for mode, code in ((RolloutMode.DARK, "ROLLOUT"), (RolloutMode.FULL, None)):
        scenario.kill(KillSwitchMode.OFF)
        scenario.roll_out(mode)
        scenario.stops.keep_once()
        stop = stop_of(scenario, trade)
        assert stop is not None and stop.error_code == code
    assert stop_of(scenario, trade).status is Status.ARMED  # type: ignore[union-attr]  # checked above


def test_a_position_that_is_too_small_is_not_protected(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.price(SYMBOL, "1000")
    trade = scenario.open_trade(plan=ExitPlan.model_validate(PLAN))
    broker.enter(SYMBOL, ProductType.MIS, -40)
    scenario.stops.keep_once()
    scenario.stops.keep_once()
    stop = stop_of(scenario, trade)
    assert stop is not None and (stop.status, stop.error_code) == (Status.WANTED, "POSITION_SHORT")


def test_a_day_order_is_placed_again_the_next_day(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    broker.forget()
    with scenario.engine.begin() as connection:
        connection.execute(text("UPDATE protective_stops SET submitted_at = submitted_at - interval '2 days'"))
    assert keep_until(scenario, trade, Status.CANCELLED).end_reason == "DAY_ENDED"
    assert keep_until(scenario, trade, Status.ARMED).trigger_price == Decimal(988)


def test_a_disconnected_account_is_left_alone(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    scenario.connect(BrokerStatus.DISCONNECTED)
    reads = broker.reads
    scenario.change_plan_of(trade, target="1010", stop_loss="990")
    scenario.stops.keep_once()
    assert broker.reads == reads


def test_database_refuses_exit_and_protective_stop_side_by_side(
    exit_engine: Engine, scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    trade = protected(scenario, broker)
    intent = scenario.detect(trade, ExitReason.TARGET)
    with pytest.raises(IntegrityError, match="protective stop"), exit_engine.begin() as connection:
        connection.execute(
            text("UPDATE exit_intents SET status = 'SUBMITTING', version = version + 1 WHERE intent_id = :id"),
            {"id": intent.intent_id},
        )
    other = scenario.placed(quantity=10)
    with exit_engine.begin() as connection:
        stops = ProtectiveStopRepository(connection)
        assert stops.want(other.trade_id, None) is False
        connection.execute(
            text("""INSERT INTO protective_stops (stop_id, trade_id, user_broker_id, symbol, direction, product_type,
                                                  status, quantity, trigger_price, client_order_id)
                    VALUES (:id, :id, 'paper', 'NSE:INFY', 'LONG', 'MIS', 'WANTED', 10, 988, 'TAG')"""),
            {"id": other.trade_id},
        )
    with pytest.raises(IntegrityError, match="exit at the broker"), exit_engine.begin() as connection:
        connection.execute(
            text("""UPDATE protective_stops SET status = 'PLACING', submitted_at = now() WHERE trade_id = :id"""),
            {"id": other.trade_id},
        )


def test_fills_of_a_stop_are_not_somebody_elses(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    broker.price(SYMBOL, "960")
    for _ in range(2):
        scenario.compare_positions()
    assert exits_of(scenario, trade) == []
    keep_until(scenario, trade, Status.TRIGGERED)


def test_broker_update_triggers_immediate_book_read(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker)
    armed = stop_of(scenario, trade)
    assert armed is not None
    scenario.stops.keep_once()
    reads = broker.reads
    scenario.stops.keep_once()
    assert broker.reads == reads, "the books were read a moment ago"
    broker.price(SYMBOL, "960")
    with scenario.open_unit() as uow:
        assert notify_order_update(uow.connection, "paper", "1", armed.client_order_id)
        assert not notify_order_update(uow.connection, "other", "1", armed.client_order_id)
    scenario.stops.read_again()
    scenario.stops.keep_once()
    triggered = stop_of(scenario, trade)
    assert triggered is not None and triggered.status is Status.TRIGGERED


def test_a_price_is_the_trigger_without_a_stop_loss(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    trade = protected(scenario, broker, plan={"target": "1010", "protective_stop": {"price": "985"}})
    broker.price(SYMBOL, "984")
    stop = keep_until(scenario, trade, Status.TRIGGERED)
    scenario.reconciler.reconcile_once()
    (exit_,) = exits_of(scenario, trade)
    assert (stop.trigger_price, exit_.exit_reason, exit_.status) == (
        Decimal(985),
        ExitReason.STOP_LOSS,
        IntentStatus.FILLED,
    )


def test_an_order_that_was_changed_often_is_replaced_by_another(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    trade = protected(scenario, broker)
    with scenario.engine.begin() as connection:
        connection.execute(text("UPDATE protective_stops SET changes = :most"), {"most": MOST_CHANGES})
    scenario.change_plan_of(trade, **{**PLAN, "stop_loss": "995"})
    assert keep_until(scenario, trade, Status.CANCELLED).end_reason == "RENEWED"
    armed = keep_until(scenario, trade, Status.ARMED)
    assert (armed.trigger_price, armed.changes, broker.changes, len(broker.placed)) == (Decimal(993), 0, 0, 2)
