"""Sends approved exits, each at most once, and records the broker's response."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationService
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import (
    HELD_BACK,
    NOT_ACCEPTED,
    TOKEN_EXPIRED,
    Accepted,
    Ambiguous,
    Brokers,
    BrokerUnavailable,
    NotAccepted,
    PlaceOutcome,
    TokenExpired,
    exit_order,
)
from services.exit_qualification.orders.call_pace import CallPace
from services.exit_qualification.orders.held_exits import HeldExits
from services.exit_qualification.orders.metrics import ORDER_BUDGET_WAITS
from services.exit_qualification.orders.order_claims import Claim, OrderClaims, Submission
from services.exit_qualification.orders.placement_records import PlacementRecords
from services.exit_qualification.orders.square_off_race import SquareOffRace
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.order_budgets import ORDER_BUDGET, OrderBudgetRepository
from services.exit_qualification.storage.send_fence import FRESH_S, SendFence
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)

SLOW_S = 1.0
"""A call of this length lets the rest of its batch go, so that other senders can take it."""


@dataclass(frozen=True, slots=True)
class _Clearance:
    """Right to send, just obtained: the intents that no switch holds back, and what the account's budget allows.

    `refusal` is why no intent may be sent; None if some may. After `fresh_until`, a monotonic time, it is too old.
    """

    intent_ids: frozenset[UUID] = frozenset()
    budget: int = 0
    free_at: datetime | None = None
    refusal: str | None = None
    fresh_until: float = math.inf


class OrderExecutionService:
    """Sends exits in batches of one account. Many threads can share it.

    Parameters
    ----------
    on_claimed:
        Called once a batch was claimed, before it is sent: there may be more for another sender.
    on_placed:
        Called with the orders of a batch that were recorded as PLACED, of one account.
    on_unclear:
        Called if another outcome was recorded: the broker's books may have news.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        qualification: ExitQualificationService,
        terms: OrderTerms,
        clock: Clock,
        held: HeldExits,
        race: SquareOffRace,
        *,
        on_claimed: Callable[[], None] = lambda: None,
        on_placed: Callable[[UserBroker, Sequence[ExitIntent]], None] = lambda _account, _placed: None,
        on_unclear: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_unit = open_unit
        self._terms = terms
        self._clock = clock
        self._pace = CallPace()
        self._claims = OrderClaims(open_unit, brokers, qualification, terms, clock, held, self._pace)
        self._records = PlacementRecords(open_unit, terms, held)
        self._race = race
        self._on_claimed = on_claimed
        self._on_placed = on_placed
        self._on_unclear = on_unclear

    def execute_next(self) -> bool:
        """Process the next exits of one account, highest rank first; return False if none may be sent."""
        found, claims = self._claims.claim()
        if claims:
            self._on_claimed()
        for claim in claims:
            failpoint(Failpoint.ORDERS_AFTER_SUBMITTING)
            sent = list(self._send(claim))
            failpoint(Failpoint.ORDERS_AFTER_CALL)
            placed = self._records.record(sent)
            if placed:
                self._on_placed(claim.account, placed)
            if len(placed) < len(sent):
                self._on_unclear()
        return found

    def _send(self, claim: Claim) -> Iterator[tuple[Submission, PlaceOutcome]]:
        """Send each order, and let go the rest once a call was slow or unanswered.

        A clearance covers only as many orders as can be sent while it is fresh. A stall after it cannot be fenced, so
        an order may leave late. `PUT /kill-switch` lists such an intent, and the reconciler counts an absence only
        well after that.
        """
        left = list(claim.submissions)
        raced = self._race.withheld(claim)
        while left:
            chunk = left[: self._pace.orders_while_fresh(claim.account.user_broker_id)]
            looked_up = [(it, self._looked_up(claim, it) or raced.get(it.intent.intent_id)) for it in chunk]
            clearance = self._clear(claim, [submission.intent for submission, known in looked_up if known is None])
            budget = clearance.budget
            for submission, known in looked_up:
                if self._clock.monotonic() >= clearance.fresh_until and submission is not chunk[0]:
                    break  # calls took longer than expected: the rest needs a new clearance
                left.remove(submission)
                outcome, took_s = known or _withheld(submission, clearance, budget), 0.0
                if outcome is None:
                    budget -= 1
                    outcome, took_s = self._place(claim, submission)
                yield submission, outcome
                if took_s >= SLOW_S or (isinstance(outcome, Ambiguous) and not outcome.refused):
                    yield from ((it, _let_go(it)) for it in left)
                    return

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

    def _clear(self, claim: Claim, intents: Sequence[ExitIntent]) -> _Clearance:
        """Take the account's budget and read the switches: the last statements before the calls, see `SendFence`."""
        if not intents:
            return _Clearance()
        try:
            with self._open_unit() as uow:
                grant = OrderBudgetRepository(uow.connection, self._terms.limits).take(claim.account, len(intents))
                cleared = SendFence(uow.connection).may_still_be_sent(intents)
                uow.commit()
        except SQLAlchemyError as error:
            return _Clearance(refusal=f"the switches could not be read before sending: {type(error).__name__}")
        if grant.granted < len(intents):
            ORDER_BUDGET_WAITS.labels(grant.limited_by or "second").inc(len(intents) - grant.granted)
        now = self._clock.monotonic()
        if now >= claim.deadline:
            return _Clearance(refusal="the claim expired before the call")
        return _Clearance(frozenset(cleared), grant.granted, grant.free_at, fresh_until=now + FRESH_S)

    def _place(self, claim: Claim, submission: Submission) -> tuple[PlaceOutcome, float]:
        began = self._clock.monotonic()
        outcome = claim.broker.place_market_exit(exit_order(submission.intent))
        took_s = self._clock.monotonic() - began
        self._pace.note(claim.account.user_broker_id, took_s)
        return outcome, took_s


def _withheld(submission: Submission, clearance: _Clearance, budget: int) -> NotAccepted | None:
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
    """Return the outcome of an order that was not sent because the broker does not answer the one before."""
    reason = "the broker did not answer the order before it; another sender takes this one"
    return NotAccepted(reason, was_sent=False, not_before=submission.intent.submitted_at)
