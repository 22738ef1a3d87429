"""What it means that the broker's complete books do not show an intent's order. A time-out is not an outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.brokers.port import NO_ANSWER
from services.exit_qualification.orders.terms import OrderTerms
from shared.clock import trading_day
from shared.contracts.vocabulary import IntentStatus

BOOKS_BEGIN: Final = timedelta(hours=6)
"""Time of day in India at which the broker's books of the day before are gone at the latest."""


class Absence(Enum):
    """What one read without the order says."""

    NOTHING = auto()
    FIRST = auto()
    REFUSED = auto()
    NEVER_PLACED = auto()
    BOOKS_ARE_NEW = auto()


def judge_absence(intent: ExitIntent, read_at: datetime, terms: OrderTerms) -> Absence:
    """What follows from a complete read of the books that began at `read_at` and has no order of the intent.

    Only an UNKNOWN intent can be decided by absence, and only by the books of the day on which it was sent. A
    refusal needs one read; silence needs two, `absence_gap` apart, the first after the sender's claim and the
    longest call have run out.
    """
    if intent.submitted_at is not None and not same_books(intent.submitted_at, read_at):
        return Absence.BOOKS_ARE_NEW
    if intent.status is not IntentStatus.UNKNOWN:
        return Absence.NOTHING
    if intent.error_code not in (None, NO_ANSWER):
        return Absence.REFUSED
    if intent.claimed_until is None or read_at < intent.claimed_until + terms.call_limit:
        return Absence.NOTHING
    if intent.absent_since is None:
        return Absence.FIRST
    proven = read_at - intent.absent_since >= terms.absence_gap
    return Absence.NEVER_PLACED if proven else Absence.NOTHING


def same_books(sent_at: datetime, read_at: datetime) -> bool:
    """Whether books read at one instant must show an order sent at another.

    They are emptied at some time between midnight and `BOOKS_BEGIN`; across either boundary nothing can be proven.
    """
    across_midnight = trading_day(sent_at) != trading_day(read_at)
    across_morning = trading_day(sent_at - BOOKS_BEGIN) != trading_day(read_at - BOOKS_BEGIN)
    return not across_midnight and not across_morning
