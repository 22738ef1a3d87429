"""Orders missing from the broker's complete books. A time-out is not an outcome."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.brokers.port import NO_ANSWER
from services.exit_qualification.orders.terms import OrderTerms
from shared.contracts.vocabulary import IntentStatus


class Absence(Enum):
    """Conclusion from one read without the order."""

    NOTHING = auto()
    FIRST = auto()
    REFUSED = auto()
    NEVER_PLACED = auto()
    BOOKS_ARE_NEW = auto()


def judge_absence(intent: ExitIntent, read_at: datetime, terms: OrderTerms, day: BookDay) -> Absence:
    """Return the conclusion from a complete read of the books, begun at `read_at`, without an order of the intent.

    Absence decides only UNKNOWN intents, and only in books of the day of sending. After a refusal one read is enough.
    Without a response two reads are needed, `absence_gap` apart; the first must follow the end of the sender's claim
    and of the longest call.
    """
    if intent.submitted_at is not None and not day.same_books(intent.submitted_at, read_at):
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
