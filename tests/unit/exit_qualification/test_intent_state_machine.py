from __future__ import annotations

from itertools import product

import pytest

from services.exit_qualification.domain.intent_state_machine import (
    AT_BROKER,
    LIVE,
    PENDING_VIEW,
    TERMINAL,
    TRANSITIONS,
    UNSENT,
    check_transition,
)
from shared.contracts.vocabulary import IntentStatus
from shared.errors import IllegalTransition

LEGAL = {
    "PENDING": "APPROVED REJECTED CANCELLED",
    "APPROVED": "SUBMITTING REJECTED CANCELLED",
    "SUBMITTING": "PLACED PARTIALLY_FILLED FILLED FAILED UNKNOWN APPROVED",
    "UNKNOWN": "PLACED PARTIALLY_FILLED FILLED CANCELLED FAILED",
    "PLACED": "PARTIALLY_FILLED FILLED CANCELLED FAILED",
    "PARTIALLY_FILLED": "PARTIALLY_FILLED FILLED CANCELLED",
    "CANCELLED": "FILLED",
    "FAILED": "FILLED",
    "REJECTED": "",
    "FILLED": "",
}


def allows(current: IntentStatus, wanted: IntentStatus, *, was_sent: bool) -> bool:
    try:
        check_transition(current, wanted, was_sent=was_sent)
    except IllegalTransition:
        return False
    return True


@pytest.mark.parametrize(("current", "wanted"), list(product(IntentStatus, IntentStatus)))
def test_a_sent_intent_allows_exactly_the_domain_transitions(current: IntentStatus, wanted: IntentStatus) -> None:
    assert allows(current, wanted, was_sent=True) is (wanted.value in LEGAL[current.value].split())


@pytest.mark.parametrize(("current", "wanted"), list(product(IntentStatus, IntentStatus)))
def test_an_unsent_intent_cannot_be_filled_after_its_end(current: IntentStatus, wanted: IntentStatus) -> None:
    legal = wanted.value in LEGAL[current.value].split() and current.value not in ("CANCELLED", "FAILED")
    assert allows(current, wanted, was_sent=False) is legal


def test_a_refused_step_says_from_where_to_where() -> None:
    with pytest.raises(IllegalTransition, match="from FILLED to PENDING") as refused:
        check_transition(IntentStatus.FILLED, IntentStatus.PENDING, was_sent=True)
    assert refused.value.details == {"current": "FILLED", "wanted": "PENDING"}


def test_the_table_covers_every_status() -> None:
    assert set(TRANSITIONS) == set(IntentStatus)


def test_a_status_is_either_live_or_terminal() -> None:
    assert set(IntentStatus) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


def test_live_intents_are_unsent_or_at_the_broker_and_pending() -> None:
    assert {IntentStatus.PENDING, IntentStatus.APPROVED} == UNSENT
    assert UNSENT | AT_BROKER == LIVE == PENDING_VIEW
    assert not UNSENT & AT_BROKER


def test_an_unknown_intent_never_returns_to_be_sent_again() -> None:
    assert not TRANSITIONS[IntentStatus.UNKNOWN] & (UNSENT | {IntentStatus.SUBMITTING})
