"""Waiting times and limits of the order process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from services.exit_qualification.storage.order_budgets import OrderLimits
from shared.settings import Settings

BATCH = 4
LARGEST_BATCH = 10
ANSWER_WAIT = timedelta(seconds=2)
PASS_LIMIT = timedelta(seconds=2)
LATE_WATCH = timedelta(seconds=2)
LATE_WATCH_ALL = timedelta(minutes=1)
POSTPONED = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Waits and limits.

    Attributes
    ----------
    claim:
        Time a sender may hold an intent before others treat it as lost.
    call_limit:
        Longest duration of a broker call; one may still run when a claim has just expired.
    unfilled_cancel:
        Time an order may stay unfilled before it is cancelled, and pause between two attempts.
    absence_gap:
        Minimum time between two reads without an order to prove its absence.
    refusal_gap:
        The same after a refusal; zero: one read is enough.
    answer_wait:
        Time for which an order being sent is left to its sender; then passes look for it.
    pass_limit:
        Longest wait of answering accounts for silent ones.
    late_watch:
        Interval of reading the books for late fills of lately ended orders.
    late_watch_all:
        The same for every order of the day.
    position_watch:
        Interval of comparing the positions at the brokers with open trades.
    backoff_first_s, backoff_max_s:
        Seconds until an exit ended short or not accepted may be retried; doubles from first to max.
    batch:
        Maximum exits of one account in a sender's claim, whatever the pace of the account's broker.
    largest_batch:
        The same where the broker takes as many in a moment.
    in_flight:
        Orders of one account on their way before senders turn to other accounts.
    workers:
        Senders: so many accounts are sent orders at the same time.
    limits:
        Orders taken by the broker from one account.
    order_limit, order_limit_window:
        Maximum orders of a trade for one reason within the window before it is slowed down or stopped.
    """

    claim: timedelta
    call_limit: timedelta
    unfilled_cancel: timedelta
    absence_gap: timedelta
    late_watch: timedelta
    backoff_first_s: float
    backoff_max_s: float
    batch: int = BATCH
    largest_batch: int = LARGEST_BATCH
    in_flight: int = BATCH
    workers: int = 1
    limits: OrderLimits = field(default_factory=OrderLimits)
    late_watch_all: timedelta = LATE_WATCH_ALL
    refusal_gap: timedelta = timedelta()
    answer_wait: timedelta = timedelta()
    pass_limit: timedelta = PASS_LIMIT
    position_watch: timedelta = timedelta(seconds=5)
    order_limit: int = 10
    order_limit_window: timedelta = timedelta(minutes=10)

    @property
    def slowest_pace_s(self) -> float:
        """Return the seconds between two orders of an exit beyond its limit."""
        return max(self.backoff_max_s, self.order_limit_window.total_seconds() / self.order_limit)


def order_terms(settings: Settings) -> OrderTerms:
    """Return the terms in the settings."""
    return OrderTerms(
        claim=timedelta(seconds=settings.order_claim_s),
        call_limit=timedelta(seconds=2 * settings.broker_timeout_s),  # to connect, and for the answer
        unfilled_cancel=timedelta(seconds=settings.unfilled_cancel_s),
        absence_gap=timedelta(seconds=settings.absence_gap_s),
        refusal_gap=timedelta(seconds=settings.refusal_gap_s),
        answer_wait=ANSWER_WAIT,
        late_watch=LATE_WATCH,
        position_watch=timedelta(seconds=settings.position_watch_s),
        backoff_first_s=settings.retry_backoff_s,
        backoff_max_s=settings.retry_backoff_max_s,
        in_flight=max(1, settings.order_workers // 4),
        workers=settings.order_workers,
        limits=OrderLimits(settings.orders_per_s, settings.orders_per_min, settings.orders_per_day),
        order_limit=settings.order_limit,
        order_limit_window=timedelta(seconds=settings.order_limit_window_s),
    )
