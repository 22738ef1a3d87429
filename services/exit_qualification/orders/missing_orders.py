"""Orders missing from the broker's complete books. A time-out is not an outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.orders.brokers.port import NO_ANSWER
from services.exit_qualification.orders.terms import OrderTerms
from shared.contracts.vocabulary import IntentStatus

WATCHED_GAP = timedelta(hours=1)
"""New books begin hours after the last market closes: an order seen within this time before it cannot fill later."""


class Absence(Enum):
    """Conclusion from one read without the order."""

    NOTHING = auto()
    FIRST = auto()
    REFUSED = auto()
    NEVER_PLACED = auto()
    BOOKS_ARE_NEW = auto()
    DAY_ENDED = auto()


def judge_absence(
    intent: ExitIntent, read_at: datetime, terms: OrderTerms, day: BookDay, seen_at: datetime | None = None
) -> Absence:
    """Return the conclusion from a complete read of the books, begun at `read_at`, without an order of the intent.

    Absence decides UNKNOWN intents, and only in books of the day of sending, because books lag. After a refusal two
    reads are needed, `refusal_gap` apart. Without a response they are `absence_gap` apart, and the first must follow
    the end of the sender's claim and of the longest call. An order that the broker had accepted is valid for a day and
    ended with it. Its fills are all known only if the books showed it until the day ended: `seen_at` is their last
    read that did. Otherwise it may have filled unseen, and an operator decides.
    """
    if intent.submitted_at is not None and not day.same_books(intent.submitted_at, read_at):
        accepted = intent.status in (IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED)
        watched = seen_at is not None and read_at - seen_at <= WATCHED_GAP
        return Absence.DAY_ENDED if accepted and watched else Absence.BOOKS_ARE_NEW
    if intent.status is not IntentStatus.UNKNOWN:
        return Absence.NOTHING
    refused = intent.error_code not in (None, NO_ANSWER)
    if not refused and (intent.claimed_until is None or read_at < intent.claimed_until + terms.call_limit):
        return Absence.NOTHING
    gap, proven = (terms.refusal_gap, Absence.REFUSED) if refused else (terms.absence_gap, Absence.NEVER_PLACED)
    if gap and intent.absent_since is None:
        return Absence.FIRST
    absent_since = intent.absent_since or read_at
    return proven if read_at - absent_since >= gap else Absence.NOTHING
