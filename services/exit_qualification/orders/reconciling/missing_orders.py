"""Orders missing from the broker's complete books. A time-out is not an outcome."""

from __future__ import annotations

from dataclasses import dataclass
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
    DAY_ENDED_UNSEEN = auto()
    """Accepted on an earlier day and unseen at its end: the position alone tells whether it filled."""


DECIDED_BY_POSITION = frozenset({Absence.NEVER_PLACED, Absence.REFUSED, Absence.DAY_ENDED_UNSEEN})
"""Conclusions that hold only while the account's position still covers its open trades."""


@dataclass(frozen=True, slots=True)
class SentOrder:
    """Order handed to the broker.

    Attributes
    ----------
    is_unknown, is_accepted:
        Whether the broker's answer is unknown, or was the acceptance; neither while its sender waits.
    error_code:
        The broker's error, as of an `Ambiguous` outcome.
    claimed_until, absent_since:
        End of its sender's claim; first complete read of the books without it.
    """

    submitted_at: datetime | None
    is_unknown: bool
    is_accepted: bool
    error_code: str | None
    claimed_until: datetime | None
    absent_since: datetime | None


def order_of(intent: ExitIntent) -> SentOrder:
    """Return the order of an intent."""
    return SentOrder(
        intent.submitted_at,
        intent.status is IntentStatus.UNKNOWN,
        intent.status in (IntentStatus.PLACED, IntentStatus.PARTIALLY_FILLED),
        intent.error_code,
        intent.claimed_until,
        intent.absent_since,
    )


def judge_absence(
    sent: SentOrder, read_at: datetime, terms: OrderTerms, day: BookDay, seen_at: datetime | None = None
) -> Absence:
    """Return the conclusion from a complete read of the books, begun at `read_at`, without the order.

    Absence decides orders without an answer, and only in books of the day of sending, because books lag. After a
    refusal two reads are needed, `refusal_gap` apart. Without a response they are `absence_gap` apart, and the first
    must follow the end of the sender's claim and of the longest call. An order accepted by the broker is valid
    for a day and ended with it. Its fills are all known only if the books showed it until the day ended: `seen_at` is
    their last read with it. Otherwise it may have filled unseen: after `absence_gap` the position decides.
    """
    if sent.submitted_at is not None and not day.same_books(sent.submitted_at, read_at):
        return _absence_on_a_later_day(sent, read_at, terms, seen_at)
    if not sent.is_unknown:
        return Absence.NOTHING
    refused = sent.error_code not in (None, NO_ANSWER)
    if not refused and (sent.claimed_until is None or read_at < sent.claimed_until + terms.call_limit):
        return Absence.NOTHING
    gap, proven = (terms.refusal_gap, Absence.REFUSED) if refused else (terms.absence_gap, Absence.NEVER_PLACED)
    if gap and sent.absent_since is None:
        return Absence.FIRST
    absent_since = sent.absent_since or read_at
    return proven if read_at - absent_since >= gap else Absence.NOTHING


def _absence_on_a_later_day(sent: SentOrder, read_at: datetime, terms: OrderTerms, seen_at: datetime | None) -> Absence:
    if not sent.is_accepted:
        return Absence.BOOKS_ARE_NEW
    if seen_at is not None and read_at - seen_at <= WATCHED_GAP:
        return Absence.DAY_ENDED
    if sent.absent_since is None:
        return Absence.FIRST
    return Absence.DAY_ENDED_UNSEEN if read_at - sent.absent_since >= terms.absence_gap else Absence.NOTHING
