"""How long the order process waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.settings import Settings

LATE_WATCH = timedelta(seconds=2)
POSTPONED = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Waits and limits.

    Attributes
    ----------
    claim:
        How long a sender may hold an intent before others take it for lost.
    call_limit:
        Longest that a call to the broker can take; a claim that has just run out may have one under way.
    unfilled_cancel:
        How long an order may stay unfilled before it is cancelled, and between two such attempts.
    absence_gap:
        How far apart two reads without an order must be to prove that it was never placed.
    late_watch:
        How often the books are read for fills of exits that have ended, while nothing else is at the broker.
    backoff_first_s, backoff_max_s:
        Seconds until an exit that ended short, or was not accepted, may be tried again; doubles from first to max.
    order_limit, order_limit_window:
        Orders that a trade may have sent for one reason within the window before it is slowed down or stopped.
    """

    claim: timedelta
    call_limit: timedelta
    unfilled_cancel: timedelta
    absence_gap: timedelta
    late_watch: timedelta
    backoff_first_s: float
    backoff_max_s: float
    order_limit: int = 10
    order_limit_window: timedelta = timedelta(minutes=10)

    @property
    def slowest_pace_s(self) -> float:
        """Return the seconds between two orders of an exit that goes on beyond its limit."""
        return max(self.backoff_max_s, self.order_limit_window.total_seconds() / self.order_limit)


def order_terms(settings: Settings) -> OrderTerms:
    """The terms that the settings ask for."""
    return OrderTerms(
        claim=timedelta(seconds=settings.order_claim_s),
        call_limit=timedelta(seconds=2 * settings.broker_timeout_s),  # once to connect, once to be answered
        unfilled_cancel=timedelta(seconds=settings.unfilled_cancel_s),
        absence_gap=timedelta(seconds=settings.absence_gap_s),
        late_watch=LATE_WATCH,
        backoff_first_s=settings.retry_backoff_s,
        backoff_max_s=settings.retry_backoff_max_s,
        order_limit=settings.order_limit,
        order_limit_window=timedelta(seconds=settings.order_limit_window_s),
    )
