"""Sends the orders of a claim to their broker, each at most once."""

from __future__ import annotations

from collections.abc import Iterator

from services.exit_qualification.orders.brokers.port import (
    HELD_BACK,
    NOT_ACCEPTED,
    TOKEN_EXPIRED,
    Accepted,
    Ambiguous,
    BrokerUnavailable,
    NotAccepted,
    PlaceOutcome,
    TokenExpired,
    exit_order,
)
from services.exit_qualification.orders.sending.call_pace import CallPace
from services.exit_qualification.orders.sending.clearances import Clearance, Clearances
from services.exit_qualification.orders.sending.order_claims import Claim, Submission
from services.exit_qualification.orders.sending.placement_records import Sent
from services.exit_qualification.orders.sending.reservations import Reservation
from services.exit_qualification.orders.sending.square_off_race import SquareOffRace
from services.exit_qualification.storage.order_budgets import ORDER_BUDGET, Unused
from shared.clock import Clock

SLOW_S = 1.0
"""A call of this length lets the rest of its batch go, for other senders to take it."""


class ClaimSender:
    """Sends claims. Many threads can share it."""

    def __init__(self, clearances: Clearances, race: SquareOffRace, pace: CallPace, clock: Clock) -> None:
        self._clearances = clearances
        self._race = race
        self._pace = pace
        self._clock = clock

    def send(self, claim: Claim) -> Iterator[Sent]:
        """Send each order, and let go the rest once a call was slow or unanswered.

        A clearance covers only as many orders as can be sent while it is fresh. A stall after it cannot be fenced, so
        an order may leave late. `PUT /kill-switch` lists such an intent, and the reconciler counts an absence only
        well after that.
        """
        left, reserved = list(claim.submissions), claim.reservation
        raced = self._race.withheld(claim)
        while left:
            chunk = left[: self._pace.orders_while_fresh(claim.account.user_broker_id)]
            looked_up = [(it, self._looked_up(claim, it) or raced.get(it.intent.intent_id)) for it in chunk]
            unknown = [submission.intent for submission, known in looked_up if known is None]
            clearance = self._clearances.obtain(claim.account, unknown, claim.deadline, reserved)
            budget, calls = clearance.budget, 0
            for submission, known in looked_up:
                if self._clock.monotonic() >= clearance.fresh_until and submission is not chunk[0]:
                    break  # calls took longer than expected: the rest needs a new clearance
                left.remove(submission)
                outcome, took_s = known or _withheld(submission, clearance, budget), 0.0
                if outcome is None:
                    budget, calls = budget - 1, calls + 1
                    outcome, took_s = self._place(claim, submission)
                yield self._sent(submission, outcome)
                if took_s >= SLOW_S or (isinstance(outcome, Ambiguous) and not outcome.refused):
                    yield from (self._sent(it, _let_go(it)) for it in left)
                    left.clear()
                    break
            self._clearances.count_late(claim.account, calls, clearance)
            reserved = Reservation(Unused(budget, clearance.taken_at))

    def _sent(self, submission: Submission, outcome: PlaceOutcome) -> Sent:
        return Sent(submission, outcome, self._clock.monotonic())

    def _looked_up(self, claim: Claim, submission: Submission) -> PlaceOutcome | None:
        """Return the outcome of an earlier request for the order; None if none was made, or none arrived."""
        if submission.sent_before is None:
            return None
        try:
            placed = claim.broker.order_by_tag(submission.intent.client_order_id)
        except BrokerUnavailable as error:
            code = TOKEN_EXPIRED if isinstance(error, TokenExpired) else NOT_ACCEPTED
            reason = f"its tag could not be looked up before sending again: {error}"
            return NotAccepted(reason, code, was_sent=False)
        return None if placed is None else Accepted(placed.order_id)

    def _place(self, claim: Claim, submission: Submission) -> tuple[PlaceOutcome, float]:
        began = self._clock.monotonic()
        outcome = claim.broker.place_market_exit(exit_order(submission.intent))
        took_s = self._clock.monotonic() - began
        self._pace.note(claim.account.user_broker_id, took_s)
        return outcome, took_s


def _withheld(submission: Submission, clearance: Clearance, budget: int) -> NotAccepted | None:
    """Return why an order must not be sent now; None if it may."""
    if clearance.refusal is not None:
        return NotAccepted(clearance.refusal, was_sent=False)
    if submission.intent.intent_id not in clearance.intent_ids:
        return NotAccepted("a switch was set, or the claim lost, before it was sent", HELD_BACK, was_sent=False)
    if budget <= 0:
        reason = "the account has used up its orders for now"
        return NotAccepted(reason, ORDER_BUDGET, was_sent=False, not_before=clearance.free_at)
    return None


def _let_go(submission: Submission) -> NotAccepted:
    """Return the outcome of an order not sent because the broker does not answer the one before."""
    reason = "the broker did not answer the order before it; another sender takes this one"
    return NotAccepted(reason, was_sent=False, not_before=submission.intent.submitted_at)
