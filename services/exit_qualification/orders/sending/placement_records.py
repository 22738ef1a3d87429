"""Records of the broker's answers to orders: accepted ones together, every other one alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from services.exit_qualification import intent_events
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import Accepted, Ambiguous, BrokerFill, NotAccepted, PlaceOutcome
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.reconciling.order_outcomes import OrderOutcome, OrderOutcomes
from services.exit_qualification.orders.requalifying.locked_exit import lock_exit
from services.exit_qualification.orders.sending.order_claims import LONGEST_ERROR, Submission
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.back_off import wait_after
from shared.contracts.events import Event
from shared.contracts.vocabulary import IntentStatus
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.row_locks import limit_lock_waits

log = logging.getLogger(__name__)

RECORD_LOCK_TIMEOUT_MS = 3_000
"""Longest wait to record an outcome: longer than the reconciler holds a row, short enough for a sender."""


Filled = Mapping[UUID, tuple[BrokerFill, ...]]
"""All fills of orders filled completely, by intent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Submission with the broker's answer, and its monotonic time."""

    submission: Submission
    outcome: PlaceOutcome
    at: float


class PlacementRecords:
    """Writes outcomes of claims. Many threads can share it."""

    def __init__(self, context: OrderContext, outcomes: OrderOutcomes) -> None:
        self._open_unit = context.open_unit
        self._terms = context.terms
        self._clock = context.clock
        self._skipped = context.skipped
        self._outcomes = outcomes

    def record(self, account: UserBroker, sent: Sequence[Sent], filled: Filled) -> list[ExitIntent]:
        """Record every outcome of an account; return the exits recorded as PLACED or FILLED in the usual way.

        Parameters
        ----------
        filled:
            The fills, by intent, of the orders filled completely.
        """
        now = self._clock.monotonic()
        recorded = self._outcomes.record(
            [
                OrderOutcome(account, intent, each.outcome.order_id, filled.get(intent.intent_id, ()), now - each.at)
                for each in sent
                if isinstance(each.outcome, Accepted)
                for intent in [each.submission.intent]
            ]
        )
        done = {intent.intent_id for intent in recorded}
        for each in sent:
            if each.submission.intent.intent_id not in done:
                self._record_alone(each.submission, each.outcome)
        return recorded

    def _record_alone(self, submission: Submission, outcome: PlaceOutcome) -> None:
        """Record an outcome. If its row stays locked, the claim expires and the broker's books decide."""
        trade_id = submission.intent.trade_id
        why = "the outcome of its order could not be written; the broker's books decide"
        with self._skipped.skipping(trade_id, why), self._open_unit() as uow:
            limit_lock_waits(uow.connection, RECORD_LOCK_TIMEOUT_MS)
            intent = lock_exit(uow.connection, submission.intent).intent
            uow.emit(*self._apply(uow, intent, outcome, submission))
            uow.commit()

    def _apply(self, uow: UnitOfWork, intent: ExitIntent, outcome: PlaceOutcome, submission: Submission) -> list[Event]:
        match outcome:
            case Accepted():
                return _accepted(uow, intent, outcome)
            case NotAccepted():
                self._not_accepted(uow, intent, outcome, submission)
            case Ambiguous():
                _ambiguous(uow, intent, outcome)
            case _:
                assert_never(outcome)
        return []

    def _not_accepted(self, uow: UnitOfWork, intent: ExitIntent, outcome: NotAccepted, submission: Submission) -> None:
        """Return the intent to APPROVED with the error; an attempt without a request does not count.

        An UNKNOWN intent cannot return; the books decide it.
        """
        log.info("intent %s was not accepted: %s", intent.intent_id, outcome.reason, extra=of_exit(intent))
        if intent.status is not IntentStatus.SUBMITTING:
            return
        wait_s = wait_after(intent.attempts, self._terms.backoff_first_s, self._terms.backoff_max_s)
        now = OrderQueues(uow.connection).now()
        ExitIntentRepository(uow.connection).update_status(
            intent,
            IntentStatus.APPROVED,
            claimed_until=outcome.not_before or now + timedelta(seconds=wait_s),
            submitted_at=intent.submitted_at if outcome.was_sent else submission.sent_before,
            error_code=outcome.code,
            error_message=outcome.reason[:LONGEST_ERROR],
        )


def _accepted(uow: UnitOfWork, intent: ExitIntent, outcome: Accepted) -> list[Event]:
    repository = ExitIntentRepository(uow.connection)
    if intent.status in (IntentStatus.SUBMITTING, IntentStatus.UNKNOWN):
        now = OrderQueues(uow.connection).now()
        placed = repository.mark_placed(intent, broker_order_id=outcome.order_id, at=now)
        return [intent_events.placed(placed, now)]
    if intent.status in ENDED_SHORT and intent.broker_order_id is None:
        log.critical(
            "intent %s had already ended when the broker accepted order %s; check the position",
            intent.intent_id,
            outcome.order_id,
            extra=of_exit(intent),
        )
        repository.update_broker_order_id(intent, outcome.order_id)
    return []  # otherwise the reconciler has already read it from the book


def _ambiguous(uow: UnitOfWork, intent: ExitIntent, outcome: Ambiguous) -> None:
    repository = ExitIntentRepository(uow.connection)
    about = {"error_code": outcome.code, "error_message": outcome.message[:LONGEST_ERROR]}
    if intent.status is IntentStatus.SUBMITTING:
        repository.mark_unknown(intent, **about)
    elif intent.status is IntentStatus.UNKNOWN:
        repository.update(intent, **about)
