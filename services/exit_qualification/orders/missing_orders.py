"""Orders missing from the broker's complete books. A time-out is not an outcome."""

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
"""Time of day in India by which the broker has cleared the previous day's books."""


class Absence(Enum):
    """Conclusion from one read without the order."""

    NOTHING = auto()
    FIRST = auto()
    REFUSED = auto()
    NEVER_PLACED = auto()
    BOOKS_ARE_NEW = auto()


def judge_absence(intent: ExitIntent, read_at: datetime, terms: OrderTerms) -> Absence:
    """Return the conclusion from a complete read of the books, begun at `read_at`, without an order of the intent.

    Absence decides only UNKNOWN intents, and only in books of the day of sending. After a refusal one read is enough.
    Without a response two reads are needed, `absence_gap` apart; the first must follow the end of the sender's claim
    and of the longest call.
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
    """Return whether books read at one instant must contain an order sent at another.

    The books are cleared at some time between midnight and `BOOKS_BEGIN`; across either boundary nothing can be proven.
    """
    across_midnight = trading_day(sent_at) != trading_day(read_at)
    across_morning = trading_day(sent_at - BOOKS_BEGIN) != trading_day(read_at - BOOKS_BEGIN)
    return not across_midnight and not across_morning
