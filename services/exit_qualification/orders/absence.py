"""What it means that the broker's complete books do not show an intent's order. A time-out is not an outcome."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.broker_port import NO_ANSWER
from services.exit_qualification.orders.terms import OrderTerms
from shared.clock import trading_day
from shared.contracts.vocabulary import IntentStatus


class Absence(Enum):
    """What one read without the order says."""

    NOTHING = auto()
    FIRST = auto()
    REFUSED = auto()
    NEVER_PLACED = auto()
    BOOKS_ARE_NEW = auto()


def judge_absence(intent: ExitIntent, read_at: datetime, terms: OrderTerms) -> Absence:
    """What follows from a complete read of the books that began at `read_at` and has no order of the intent.

    Only an UNKNOWN intent can be decided by absence. The books are empty every morning, so that on a later trading
    day an absence proves nothing. A refusal needs one read; silence needs two, `absence_gap` apart, the first after
    the sender's claim and the longest call have run out.
    """
    if intent.submitted_at is not None and trading_day(intent.submitted_at) != trading_day(read_at):
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
