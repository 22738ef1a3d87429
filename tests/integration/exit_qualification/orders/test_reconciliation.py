"""The broker's books decide the outcome of an exit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.order_terms import OrderSide
from services.exit_qualification.orders.brokers.port import NO_ANSWER, BrokerUnavailable, ExitOrder
from shared.contracts.vocabulary import ExitReason, IntentStatus, ProductType
from shared.runtime.failpoints import Failpoint, FailpointHit, arm
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.support.waiting import wait_until

REFUSED = {"kind": "refuse", "error_type": "OrderException", "http_status": 400, "message": "insufficient holdings"}


def test_a_filled_order_fills_its_exit_completely(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 40, "1010.00")
    broker.fill(broker.order_ids[0], 60, "1010.05")
    scenario.reconciler.reconcile_once()
    filled = scenario.expect(intent, IntentStatus.FILLED)
    assert (filled.filled_quantity, filled.average_price) == (100, Decimal("1010.03"))
    assert scenario.event_names(intent) == ["Placed", "Filled"]
    event = scenario.events(intent)[1][1]
    assert event["average_price"] == "1010.03"
    assert [(fill["quantity"], fill["price"]) for fill in event["fills"]] == [(40, "1010.00"), (60, "1010.05")]
    assert filled.placed_at is not None
    assert filled.filled_at is not None
    assert event["time_to_fill_ms"] == round((filled.filled_at - filled.placed_at).total_seconds() * 1000)


def test_while_nothing_is_at_the_broker_it_is_not_asked(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario.approved()
    scenario.reconciler.reconcile_once()
    assert broker.reads == 0


def test_an_order_that_merely_waits_changes_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert scenario.intent(intent) == intent


def test_a_partial_fill_is_told_once_and_then_completed(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 40, "1010")
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    partly = scenario.expect(intent, IntentStatus.PARTIALLY_FILLED)
    assert (partly.filled_quantity, partly.average_price) == (40, Decimal(1010))
    broker.fill(broker.order_ids[0], 60, "1011")
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)
    assert scenario.event_names(intent) == ["Placed", "PartiallyFilled", "Filled"]


def test_a_fill_resets_the_back_off_of_its_reason(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    first = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    assert scenario.failures(first) == 1
    scenario.end_cooldown(first)
    second = scenario.detect(scenario.trade_of(first))
    scenario.sender.execute_next()
    broker.fill(broker.order_ids[1], 100, "1010")
    scenario.reconciler.reconcile_once()
    scenario.expect(second, IntentStatus.FILLED)
    assert scenario.failures(second) == 0


def test_a_rejection_fails_the_exit_with_a_back_off(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault({"kind": "reject", "message": "RMS: margin exceeds"})
    scenario = scenario.with_long_back_off()
    intent = scenario.placed()
    scenario.reconciler.reconcile_once()
    failed = scenario.expect(intent, IntentStatus.FAILED)
    assert (failed.error_code, failed.error_message) == ("REJECTED_BY_BROKER", "RMS: margin exceeds")
    assert scenario.event_names(intent) == ["Placed", "Failed"]
    assert scenario.events(intent)[1][1]["errors"] == [{"code": "REJECTED_BY_BROKER", "message": "RMS: margin exceeds"}]
    assert scenario.trade_status(intent.trade_id) == "OPEN"
    assert 0 < scenario.cooldown_s(intent) <= 60


def test_the_back_off_doubles_with_every_failure_in_a_row(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault({"kind": "reject", "message": "no"}, count=2)
    scenario = scenario.with_long_back_off()
    first = scenario.placed()
    scenario.reconciler.reconcile_once()
    scenario.end_cooldown(first)
    second = scenario.detect(scenario.trade_of(first))
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    assert scenario.failures(second) == 2
    assert 60 < scenario.cooldown_s(second) <= 120


def test_an_order_with_lost_answer_is_found_and_not_repeated(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault({"kind": "drop_answer"})
    intent = scenario.approved()
    scenario.sender.execute_next()
    scenario.expect(intent, IntentStatus.UNKNOWN)
    scenario.reconciler.reconcile_once()
    placed = scenario.expect(intent, IntentStatus.PLACED)
    assert (placed.broker_order_id, placed.error_code) == (broker.order_ids[0], None)
    broker.price("NSE:INFY", "1010")
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)
    assert len(broker.placed) == 1


@pytest.mark.parametrize(
    ("fault", "status", "names"),
    [
        ({}, IntentStatus.FILLED, ["Placed", "Filled"]),
        ({"kind": "partial_fill", "quantity": 40}, IntentStatus.PARTIALLY_FILLED, ["Placed", "PartiallyFilled"]),
        ({"kind": "reject", "message": "no"}, IntentStatus.FAILED, ["Failed"]),
    ],
)
def test_an_unrecorded_order_may_already_be_filled(
    scenario: OrderScenario,
    broker: ScriptedBroker,
    armed: None,
    fault: dict[str, object],
    status: IntentStatus,
    names: list[str],
) -> None:
    broker.price("NSE:INFY", "1010")
    broker.fault(fault)
    intent = scenario.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, status).broker_order_id == broker.order_ids[0]
    assert scenario.event_names(intent) == names


def test_an_unrecorded_order_may_already_be_cancelled(
    scenario: OrderScenario, broker: ScriptedBroker, armed: None
) -> None:
    intent = scenario.approved()
    arm(Failpoint.ORDERS_AFTER_CALL, "raise")
    with pytest.raises(FailpointHit):
        scenario.sender.execute_next()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.CANCELLED).cancel_reason == "BY_BROKER"


@pytest.mark.parametrize(
    ("filled", "status"),
    [
        (0, IntentStatus.PLACED),
        (40, IntentStatus.PARTIALLY_FILLED),
        (100, IntentStatus.FILLED),
        (None, IntentStatus.CANCELLED),
    ],
)
def test_an_order_in_the_books_clears_its_send_error(
    scenario: OrderScenario, broker: ScriptedBroker, filled: int | None, status: IntentStatus
) -> None:
    broker.fault({"kind": "drop_answer"})
    intent = scenario.approved()
    scenario.sender.execute_next()
    assert scenario.expect(intent, IntentStatus.UNKNOWN).error_code == NO_ANSWER
    if filled is None:
        broker.end(broker.order_ids[0])
    elif filled:
        broker.fill(broker.order_ids[0], filled, "1010")
    scenario.reconciler.reconcile_once()
    found = scenario.expect(intent, status)
    assert (found.error_code, found.error_message) == (None, None)


def test_a_definite_refusal_needs_one_complete_read(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault(REFUSED)
    intent = scenario.approved()
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    failed = scenario.expect(intent, IntentStatus.FAILED)
    assert (failed.error_code, failed.error_message) == ("OrderException", "insufficient holdings")
    assert scenario.event_names(intent) == ["Failed"]
    assert scenario.failures(intent) == 1


def test_a_refusal_that_the_book_contradicts_is_no_refusal(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault(REFUSED)
    intent = scenario.approved()
    scenario.sender.execute_next()
    broker.place_market_exit(ExitOrder(intent.client_order_id, "NSE", "INFY", OrderSide.SELL, 100, ProductType.MIS))
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PLACED)


def test_a_read_that_failed_proves_nothing(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.fault(REFUSED)
    intent = scenario.approved()
    scenario.sender.execute_next()
    broker.is_down = True
    with pytest.raises(BrokerUnavailable, match="paper"):
        scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.UNKNOWN)


def test_silence_needs_two_distant_reads_after_the_claim(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario = quick_scenario
    broker.fault({"kind": "refuse", "error_type": "NetworkException"})
    intent = scenario.approved()
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    unknown = scenario.expect(intent, IntentStatus.UNKNOWN)
    assert unknown.absent_since is None, "a sender may still be at work"
    assert unknown.claimed_until is not None

    def first_absence() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).absent_since is not None

    wait_until(first_absence, "the claim and the longest call run out")
    since = scenario.intent(intent).absent_since
    assert since is not None
    assert since >= unknown.claimed_until + scenario.terms.call_limit

    def proven() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).status is IntentStatus.FAILED

    wait_until(proven, "the second absence")
    failed = scenario.intent(intent)
    assert failed.error_code == "NEVER_PLACED"
    assert failed.ended_at is not None
    assert failed.ended_at >= since + scenario.terms.absence_gap


def test_an_order_that_shows_up_between_two_absences_is_placed(
    quick_scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario = quick_scenario
    broker.fault({"kind": "drop_answer"})
    broker.is_blind = True
    intent = scenario.approved()
    scenario.sender.execute_next()

    def first_absence() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).absent_since is not None

    wait_until(first_absence, "an absence is noted")
    broker.is_blind = False
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.PLACED).absent_since is None


def test_on_a_later_trading_day_absence_proves_nothing(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario = quick_scenario
    broker.fault({"kind": "refuse", "error_type": "NetworkException"})
    intent = scenario.approved()
    scenario.sender.execute_next()
    scenario.send_back_in_time(intent, timedelta(days=1))
    broker.forget()
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.UNKNOWN).absent_since is None


def a_day_later(scenario: OrderScenario, broker: ScriptedBroker) -> ExitIntent:
    """A placed exit of yesterday whose order no book shows any more, and no process saw until the end."""
    intent = scenario.detect(scenario.open_trade(), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    scenario.send_back_in_time(intent, timedelta(days=1))
    broker.forget()
    return intent


def test_an_order_of_yesterday_ended_if_its_position_is_held(
    quick_scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario = quick_scenario
    intent = a_day_later(scenario, broker)
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PLACED)

    def has_ended() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).status is IntentStatus.CANCELLED

    wait_until(has_ended, "the order ended with its day")
    ended = scenario.expect(intent, IntentStatus.CANCELLED)
    assert (ended.error_code, scenario.go_on(ended).quantity) == ("DAY_ENDED", 100)


def test_an_order_of_yesterday_without_position_waits_for_an_operator(
    quick_scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    scenario = quick_scenario
    intent = a_day_later(scenario, broker)
    broker.enter("NSE:INFY", ProductType.MIS, -40)
    first = None

    def is_asked_again() -> bool:
        nonlocal first
        scenario.reconciler.reconcile_once()
        absent_since = scenario.expect(intent, IntentStatus.PLACED).absent_since
        first = first or absent_since
        return absent_since != first

    wait_until(is_asked_again, "the position is read once a gap")


def test_an_unfilled_order_is_cancelled_once_and_the_rest_exits(
    scenario: OrderScenario, broker: ScriptedBroker
) -> None:
    broker.fault({"kind": "partial_fill", "quantity": 40})
    intent = scenario.placed()
    broker.price("NSE:INFY", "1010")
    scenario.send_back_in_time(intent, timedelta(seconds=61))
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PARTIALLY_FILLED)
    assert broker.cancels == []
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[0]]
    scenario.reconciler.reconcile_once()
    cancelled = scenario.expect(intent, IntentStatus.CANCELLED)
    assert (cancelled.cancel_reason, cancelled.filled_quantity) == ("NOT_FILLED_IN_TIME", 40)
    assert scenario.event_names(intent) == ["Placed", "PartiallyFilled", "Cancelled"]
    assert [fill["quantity"] for fill in scenario.events(intent)[2][1]["fills"]] == [40]
    scenario.end_cooldown(intent)
    rest = scenario.detect(scenario.trade_of(intent))
    assert rest.quantity == 60
    scenario.sender.execute_next()
    scenario.reconciler.reconcile_once()
    scenario.expect(rest, IntentStatus.FILLED)
    assert [order.quantity for order in broker.placed] == [100, 60]


def test_an_unanswered_cancel_is_repeated_after_the_interval(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    broker.is_deaf_to_cancels = True
    intent = scenario.placed()
    scenario.send_back_in_time(intent, timedelta(seconds=61))
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    assert len(broker.unanswered) == 1
    requested = scenario.expect(intent, IntentStatus.PLACED).cancel_requested_at
    assert requested is not None
    impatient = OrderScenario(scenario.engine, broker, replace(scenario.terms, unfilled_cancel=timedelta()))
    impatient.reconciler.reconcile_once()
    assert len(broker.unanswered) == 2


def test_an_order_that_the_broker_cancels_ends_the_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.CANCELLED).cancel_reason == "BY_BROKER"
    assert scenario.failures(intent) == 1


def test_an_order_ends_only_with_its_fills_in_the_book(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 40, "1010")
    broker.end(broker.order_ids[0])
    fills = broker.hide_fills()
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PLACED)
    broker.show_fills(fills)
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.CANCELLED).filled_quantity == 40


def test_late_fills_are_stored_told_and_flagged(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    broker.fill(broker.order_ids[0], 30, "1010")
    for _ in range(3):
        scenario.reconciler.reconcile_once()
    late = scenario.expect(intent, IntentStatus.CANCELLED)
    assert (late.filled_quantity, late.late_filled, late.average_price) == (30, True, Decimal(1010))
    assert scenario.event_names(intent) == ["Placed", "Cancelled", "LateFill"]


def test_late_fills_complete_an_exit_with_a_free_slot(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    broker.fill(broker.order_ids[0], 100, "1010")
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.FILLED).late_filled
    assert scenario.event_names(intent) == ["Placed", "Cancelled", "LateFill", "Filled"]


def test_late_fills_cancel_an_unsent_exit_without_quantity(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    first = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    second = scenario.detect(scenario.trade_of(first), ExitReason.STOP_LOSS)
    broker.fill(broker.order_ids[0], 100, "1010")
    scenario.reconciler.reconcile_once()
    assert scenario.expect(second, IntentStatus.CANCELLED).cancel_reason == "NOTHING_LEFT"
    assert not scenario.sender.execute_next()
    assert scenario.expect(first, IntentStatus.CANCELLED).filled_quantity == 100


def test_late_fills_cancel_an_excessive_later_order(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    first = scenario.placed()
    broker.end(broker.order_ids[0])
    scenario.reconciler.reconcile_once()
    second = scenario.detect(scenario.trade_of(first), ExitReason.STOP_LOSS)
    scenario.sender.execute_next()
    broker.fill(broker.order_ids[0], 30, "1010")
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[1]]
    scenario.reconciler.reconcile_once()
    scenario.expect(second, IntentStatus.CANCELLED)


def test_a_working_order_of_an_ended_exit_is_cancelled(quick_scenario: OrderScenario, broker: ScriptedBroker) -> None:
    scenario = quick_scenario
    broker.fault({"kind": "drop_answer"})
    broker.is_blind = True
    intent = scenario.approved()
    scenario.sender.execute_next()

    def ended() -> bool:
        scenario.reconciler.reconcile_once()
        return scenario.intent(intent).status is IntentStatus.FAILED

    wait_until(ended, "absence is proven, wrongly")
    broker.is_blind = False
    scenario.reconciler.reconcile_once()
    assert broker.cancels == [broker.order_ids[0]]


def test_an_excess_fill_is_stored_and_ends_the_exit(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 130, "1010")
    for _ in range(2):
        scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.FILLED).filled_quantity == 130
    assert scenario.filled_of_trade(intent.trade_id) == 130


def test_a_change_during_the_read_waits_for_the_next_pass(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 100, "1010")
    broker.on_read = lambda: scenario.send_back_in_time(intent, timedelta())
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PLACED)
    broker.on_read = lambda: None
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)


def test_a_crash_between_fetch_and_apply_loses_nothing(
    scenario: OrderScenario, broker: ScriptedBroker, armed: None
) -> None:
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 100, "1010")
    arm(Failpoint.ORDERS_BETWEEN_FETCH_AND_APPLY, "raise")
    with pytest.raises(FailpointHit):
        scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.PLACED)
    scenario.reconciler.reconcile_once()
    scenario.expect(intent, IntentStatus.FILLED)


def test_two_reconcilers_record_every_fill_once(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    other = OrderScenario(scenario.engine, broker, scenario.terms)
    intent = scenario.placed()
    broker.fill(broker.order_ids[0], 40, "1010")

    def let_the_other_go_first() -> None:
        broker.on_read = lambda: None
        other.reconciler.reconcile_once()

    broker.on_read = let_the_other_go_first
    scenario.reconciler.reconcile_once()
    assert scenario.expect(intent, IntentStatus.PARTIALLY_FILLED).filled_quantity == 40
    assert scenario.event_names(intent) == ["Placed", "PartiallyFilled"]


def test_each_exit_of_a_long_pass_reports_progress(scenario: OrderScenario, broker: ScriptedBroker) -> None:
    for _ in range(3):
        scenario.placed()
    scenario.progress = 0
    scenario.reconciler.reconcile_once()
    assert scenario.progress == 3
