"""The meaning of an order's absence in the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.brokers.kite.day import KITE_DAY
from services.exit_qualification.orders.brokers.port import NO_ANSWER
from services.exit_qualification.orders.reconciling.missing_orders import WATCHED_GAP, Absence, judge_absence, order_of
from shared.contracts.vocabulary import IntentStatus
from tests.unit.exit_qualification.examples import NOON, sent_intent
from tests.unit.exit_qualification.orders.example_terms import TERMS

CLAIMED_UNTIL = NOON + TERMS.claim
FIRST_THAT_COUNTS = CLAIMED_UNTIL + TERMS.call_limit
MOMENT = timedelta(microseconds=1)
SILENT = sent_intent(IntentStatus.UNKNOWN, claimed_until=CLAIMED_UNTIL, error_code=NO_ANSWER)
CRASHED = sent_intent(IntentStatus.UNKNOWN, claimed_until=CLAIMED_UNTIL)
REFUSED = sent_intent(IntentStatus.UNKNOWN, claimed_until=CLAIMED_UNTIL, error_code="OrderException")


@pytest.mark.parametrize("intent", [SILENT, CRASHED])
def test_while_a_sender_may_be_at_work_absence_says_nothing(intent: ExitIntent) -> None:
    assert judge_absence(order_of(intent), FIRST_THAT_COUNTS - MOMENT, TERMS, KITE_DAY) is Absence.NOTHING
    assert judge_absence(order_of(intent), FIRST_THAT_COUNTS, TERMS, KITE_DAY) is Absence.FIRST


def test_silence_needs_a_second_absence_after_the_gap() -> None:
    absent = sent_intent(IntentStatus.UNKNOWN, claimed_until=CLAIMED_UNTIL, absent_since=FIRST_THAT_COUNTS)
    assert (
        judge_absence(order_of(absent), FIRST_THAT_COUNTS + TERMS.absence_gap - MOMENT, TERMS, KITE_DAY)
        is Absence.NOTHING
    )
    assert (
        judge_absence(order_of(absent), FIRST_THAT_COUNTS + TERMS.absence_gap, TERMS, KITE_DAY) is Absence.NEVER_PLACED
    )


def test_a_refusal_needs_two_reads_because_books_lag() -> None:
    terms, first = replace(TERMS, refusal_gap=timedelta(seconds=20)), NOON + MOMENT
    assert judge_absence(order_of(REFUSED), first, terms, KITE_DAY) is Absence.FIRST
    absent = msgspec.structs.replace(REFUSED, absent_since=first)
    assert judge_absence(order_of(absent), first + terms.refusal_gap - MOMENT, terms, KITE_DAY) is Absence.NOTHING
    assert judge_absence(order_of(absent), first + terms.refusal_gap, terms, KITE_DAY) is Absence.REFUSED


@pytest.mark.parametrize("status", [IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED])
def test_accepted_order_seen_until_end_of_day_ended_then(status: IntentStatus) -> None:
    intent, next_day = sent_intent(status, claimed_until=CLAIMED_UNTIL), NOON + timedelta(days=1)
    assert judge_absence(order_of(intent), next_day, TERMS, KITE_DAY, next_day - WATCHED_GAP) is Absence.DAY_ENDED


@pytest.mark.parametrize("seen_at", [None, NOON + timedelta(days=1) - WATCHED_GAP - MOMENT])
def test_accepted_order_with_possible_unseen_fill_needs_two_reads(seen_at: datetime | None) -> None:
    intent, next_day = sent_intent(IntentStatus.PLACED, claimed_until=CLAIMED_UNTIL), NOON + timedelta(days=1)
    assert judge_absence(order_of(intent), next_day, TERMS, KITE_DAY, seen_at) is Absence.FIRST
    absent, second = order_of(msgspec.structs.replace(intent, absent_since=next_day)), next_day + TERMS.absence_gap
    assert judge_absence(absent, second - MOMENT, TERMS, KITE_DAY, seen_at) is Absence.NOTHING
    assert judge_absence(absent, second, TERMS, KITE_DAY, seen_at) is Absence.DAY_ENDED_UNSEEN


@pytest.mark.parametrize("intent", [SILENT, REFUSED])
def test_books_of_a_later_day_prove_nothing(intent: ExitIntent) -> None:
    assert judge_absence(order_of(intent), NOON + timedelta(days=1), TERMS, KITE_DAY) is Absence.BOOKS_ARE_NEW


@pytest.mark.parametrize(("hour", "minute"), [(18, 30), (0, 30)])
def test_absence_across_book_boundaries_proves_nothing(hour: int, minute: int) -> None:
    boundary = NOON.replace(hour=hour, minute=minute)
    sent_at = boundary - timedelta(minutes=10)
    intent = sent_intent(IntentStatus.UNKNOWN, claimed_until=sent_at)
    sent_then = msgspec.structs.replace(intent, submitted_at=sent_at)
    assert judge_absence(order_of(sent_then), boundary - MOMENT, TERMS, KITE_DAY) is Absence.FIRST
    assert judge_absence(order_of(sent_then), boundary, TERMS, KITE_DAY) is Absence.BOOKS_ARE_NEW


@pytest.mark.parametrize("status", [IntentStatus.SUBMITTING, IntentStatus.PLACED, IntentStatus.FAILED])
def test_only_an_unknown_exit_can_be_decided_by_absence(status: IntentStatus) -> None:
    intent = sent_intent(status, claimed_until=CLAIMED_UNTIL)
    assert judge_absence(order_of(intent), FIRST_THAT_COUNTS, TERMS, KITE_DAY) is Absence.NOTHING
