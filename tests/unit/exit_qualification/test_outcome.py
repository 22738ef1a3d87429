from __future__ import annotations

from itertools import product

import pytest

from services.exit_qualification.domain.intent import supersedes
from services.exit_qualification.domain.intent_state_machine import AT_BROKER, ENDED_SHORT, TRANSITIONS, UNSENT
from services.exit_qualification.domain.outcome import OrderState, outcome_of_fills
from shared.contracts.vocabulary import ExitReason, IntentStatus
from tests.unit.exit_qualification.examples import intent, sent_intent

S = IntentStatus


@pytest.mark.parametrize(("status", "state"), list(product(sorted(AT_BROKER), OrderState)))
def test_the_whole_quantity_filled_is_filled_whatever_the_order_says(status: IntentStatus, state: OrderState) -> None:
    assert outcome_of_fills(sent_intent(status), 100, state) is S.FILLED


@pytest.mark.parametrize(
    ("filled", "state", "outcome"),
    [
        (0, OrderState.WORKING, S.PLACED),
        (40, OrderState.WORKING, S.PARTIALLY_FILLED),
        (0, OrderState.COMPLETE, S.PLACED),
        (40, OrderState.COMPLETE, S.PARTIALLY_FILLED),
        (0, OrderState.CANCELLED, S.CANCELLED),
        (40, OrderState.CANCELLED, S.CANCELLED),
        (0, OrderState.REJECTED, S.FAILED),
        (40, OrderState.REJECTED, S.CANCELLED),
    ],
)
def test_short_of_the_whole_quantity_the_orders_state_decides(
    filled: int, state: OrderState, outcome: IntentStatus
) -> None:
    assert outcome_of_fills(sent_intent(S.PLACED), filled, state) is outcome


def test_cumulative_fill_never_goes_down() -> None:
    partly = sent_intent(S.PARTIALLY_FILLED, filled_quantity=40)
    assert outcome_of_fills(partly, 0, OrderState.WORKING) is S.PARTIALLY_FILLED
    assert outcome_of_fills(partly, 0, OrderState.REJECTED) is S.CANCELLED


@pytest.mark.parametrize(("status", "state"), list(product(sorted(AT_BROKER | ENDED_SHORT), OrderState)))
def test_more_filled_than_ordered_fills_the_exit(status: IntentStatus, state: OrderState) -> None:
    assert outcome_of_fills(sent_intent(status), 101, state) is S.FILLED


@pytest.mark.parametrize("status", [S.CANCELLED, S.FAILED])
def test_late_fills_fill_an_ended_intent_only_when_complete(
    status: IntentStatus,
) -> None:
    ended = sent_intent(status, filled_quantity=40)
    assert outcome_of_fills(ended, 99, OrderState.CANCELLED) is status
    assert outcome_of_fills(ended, 100, OrderState.CANCELLED) is S.FILLED


@pytest.mark.parametrize("status", [S.CANCELLED, S.FAILED])
def test_late_fills_do_not_take_an_occupied_slot(status: IntentStatus) -> None:
    assert outcome_of_fills(sent_intent(status), 100, OrderState.COMPLETE, slot_free=False) is status


def test_an_intent_that_was_never_sent_is_not_filled_late() -> None:
    assert outcome_of_fills(intent(status=S.CANCELLED), 100, OrderState.COMPLETE) is S.CANCELLED


@pytest.mark.parametrize(("status", "filled", "state"), list(product((S.FILLED, S.REJECTED), (0, 100), OrderState)))
def test_filled_and_rejected_never_change(status: IntentStatus, filled: int, state: OrderState) -> None:
    assert outcome_of_fills(sent_intent(status), filled, state) is status


REACHABLE = [
    (status, known, total, state)
    for status, known, total, state in product(sorted(AT_BROKER), (0, 40), (0, 40, 60, 100), OrderState)
    if (status is S.PARTIALLY_FILLED) == (known > 0)
]


@pytest.mark.parametrize(("status", "known", "total", "state"), REACHABLE)
def test_every_outcome_is_a_legal_transition_once_placed(
    status: IntentStatus, known: int, total: int, state: OrderState
) -> None:
    outcome = outcome_of_fills(sent_intent(status, filled_quantity=known), total, state)
    # A sender with news of the order records it as PLACED before it may be CANCELLED.
    recorded = S.PLACED if status is S.SUBMITTING and outcome is S.CANCELLED else status
    assert outcome is recorded or outcome in TRANSITIONS[recorded]


@pytest.mark.parametrize(("candidate", "waiting"), list(product(ExitReason, ExitReason)))
def test_only_a_higher_rank_supersedes_a_waiting_exit(candidate: ExitReason, waiting: ExitReason) -> None:
    reasons = list(ExitReason)
    higher = reasons.index(candidate) < reasons.index(waiting)
    for status in UNSENT:
        assert supersedes(candidate, intent(status=status, exit_reason=waiting)) is higher


@pytest.mark.parametrize("status", sorted(set(IntentStatus) - UNSENT))
def test_a_sent_or_ended_exit_is_not_superseded(status: IntentStatus) -> None:
    assert not supersedes(ExitReason.MANUAL, sent_intent(status, exit_reason=ExitReason.TIME))
