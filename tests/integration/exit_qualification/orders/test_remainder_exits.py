"""A stop or a manual exit that ended with quantity left goes on, wherever the market went since."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from services.exit_qualification.domain.intent import ExitIntent
from shared.contracts.vocabulary import ExitReason, IntentStatus, RolloutMode
from tests.integration.exit_qualification.orders.floor import Floor
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker

STOP_LOSS, MANUAL, TARGET = ExitReason.STOP_LOSS, ExitReason.MANUAL, ExitReason.TARGET


@pytest.fixture
def floor(floor: Floor) -> Floor:
    """A floor whose back-off takes hardly any time."""
    return Floor(floor.engine, floor.brokers, replace(floor.terms, backoff_first_s=0.05, backoff_max_s=0.2))


def _sent(floor: Floor, reason: ExitReason) -> ExitIntent:
    cooldown_s = 0 if reason is MANUAL else 60
    intent = floor.detect(floor.open_trade(), reason, cooldown_s=cooldown_s)
    assert floor.sender.execute_next()
    return floor.expect(intent, IntentStatus.PLACED)


def _cancelled(floor: Floor, broker: ScriptedBroker, reason: ExitReason, filled: int) -> ExitIntent:
    intent = _sent(floor, reason)
    if filled:
        broker.fill(broker.order_ids[-1], filled, "989")
    broker.end(broker.order_ids[-1])
    floor.reconciler.reconcile_once()
    return floor.expect(intent, IntentStatus.CANCELLED)


def _rejected(floor: Floor, broker: ScriptedBroker, reason: ExitReason) -> ExitIntent:
    broker.fault({"kind": "reject", "message": "no"})
    intent = _sent(floor, reason)
    floor.reconciler.reconcile_once()
    return floor.expect(intent, IntentStatus.FAILED)


def _nothing_goes_on(floor: Floor, ended: ExitIntent) -> bool:
    with floor.engine.begin() as connection:  # as if it had ended long ago, its back-off over
        connection.execute(text("UPDATE exit_episodes SET cooldown_until = clock_timestamp()"))
        connection.execute(
            text(
                "UPDATE exit_intents SET ended_at = ended_at - :by, version = version + 1 WHERE intent_id = :intent_id"
            ),
            {"by": timedelta(minutes=5), "intent_id": ended.intent_id},
        )
    floor.remainders.exit_once()
    return not floor.intents_after(ended)


@pytest.mark.parametrize("reason", [STOP_LOSS, MANUAL])
@pytest.mark.parametrize("filled", [0, 40])
def test_the_rest_of_a_cancelled_stop_or_manual_exit_exits(
    floor: Floor, broker: ScriptedBroker, reason: ExitReason, filled: int
) -> None:
    ended = _cancelled(floor, broker, reason, filled)
    floor.last_price("1000")
    rest = floor.go_on(ended)
    assert (rest.exit_reason, rest.status, rest.quantity) == (reason, IntentStatus.APPROVED, 100 - filled)
    assert rest.detected_price == (Decimal(1000) if reason is STOP_LOSS else None)
    assert floor.sender.execute_next()
    broker.price("NSE:INFY", "1000")
    floor.reconciler.reconcile_once()
    floor.expect(rest, IntentStatus.FILLED)
    assert floor.filled_of_trade(rest.trade_id) == 100
    assert _nothing_goes_on(floor, rest)


def test_an_order_that_was_not_filled_in_time_goes_on(floor: Floor, broker: ScriptedBroker) -> None:
    intent = _sent(floor, MANUAL)
    broker.fill(broker.order_ids[0], 40, "1000")
    floor.send_back_in_time(intent, timedelta(seconds=61))
    for _ in range(3):
        floor.reconciler.reconcile_once()
    assert floor.expect(intent, IntentStatus.CANCELLED).cancel_reason == "NOT_FILLED_IN_TIME"
    assert floor.go_on(intent).quantity == 60


def test_a_rejected_stop_is_retried_although_the_price_returned(floor: Floor, broker: ScriptedBroker) -> None:
    floor.last_price("1000")
    rest = floor.go_on(_rejected(floor, broker, STOP_LOSS))
    assert (rest.exit_reason, rest.quantity, rest.detected_price) == (STOP_LOSS, 100, Decimal(1000))
    floor.requalification.requalify_once()
    floor.expect(rest, IntentStatus.APPROVED)


def test_a_rejected_manual_exit_is_the_operators_to_repeat(floor: Floor, broker: ScriptedBroker) -> None:
    assert _nothing_goes_on(floor, _rejected(floor, broker, MANUAL))


def test_the_rest_of_a_target_waits_for_the_market(floor: Floor, broker: ScriptedBroker) -> None:
    assert _nothing_goes_on(floor, _cancelled(floor, broker, TARGET, 40))


def test_a_stop_continues_after_a_refused_manual_exit(floor: Floor, broker: ScriptedBroker) -> None:
    stopped = _cancelled(floor, broker, STOP_LOSS, 40)
    broker.fault({"kind": "reject", "message": "no"})
    manual = floor.detect(floor.trade_of(stopped), MANUAL, cooldown_s=0)
    floor.sender.execute_next()
    floor.reconciler.reconcile_once()
    floor.expect(manual, IntentStatus.FAILED)
    rest = floor.go_on(manual)
    assert (rest.exit_reason, rest.quantity) == (STOP_LOSS, 60)


def test_during_its_back_off_nothing_goes_on(floor: Floor, broker: ScriptedBroker) -> None:
    slow = Floor(floor.engine, broker, replace(floor.terms, backoff_first_s=60, backoff_max_s=60))
    for reason in (STOP_LOSS, MANUAL):
        ended = _cancelled(slow, broker, reason, 40)
        slow.remainders.exit_once()
        assert not slow.intents_after(ended)


def test_a_live_exit_of_any_reason_stands_in_the_way(floor: Floor, broker: ScriptedBroker) -> None:
    ended = _cancelled(floor, broker, STOP_LOSS, 40)
    target = floor.detect(floor.trade_of(ended), TARGET)
    floor.remainders.exit_once()
    assert [row.intent_id for row in floor.intents_after(ended)] == [target.intent_id]


def test_a_closed_trade_has_no_remainder(floor: Floor, broker: ScriptedBroker) -> None:
    ended = _cancelled(floor, broker, STOP_LOSS, 40)
    with floor.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE open_trades SET status = 'CLOSED'")
    assert _nothing_goes_on(floor, ended)


@pytest.mark.parametrize("mode", [RolloutMode.OFF, RolloutMode.DARK, RolloutMode.LIMITED])
def test_where_the_rollout_does_not_reach_nothing_goes_on(
    floor: Floor, broker: ScriptedBroker, mode: RolloutMode
) -> None:
    ended = _cancelled(floor, broker, MANUAL, 40)
    floor.roll_out(mode)
    assert _nothing_goes_on(floor, ended)
    floor.roll_out(RolloutMode.FULL)
    assert floor.go_on(ended).quantity == 60
