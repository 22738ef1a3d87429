"""Sends approved exits, each at most once, and records the broker's response."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationResult,
    ExitQualificationService,
)
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT
from services.exit_qualification.domain.outcome import retry_backoff_s
from services.exit_qualification.orders.brokers.port import (
    HELD_BACK,
    NOT_ACCEPTED,
    NOT_SUPPORTED,
    TOKEN_EXPIRED,
    UNREACHABLE,
    Accepted,
    Ambiguous,
    BrokerNotSupported,
    BrokerPort,
    Brokers,
    BrokerUnavailable,
    NotAccepted,
    PlaceOutcome,
    TokenExpired,
    exit_order,
)
from services.exit_qualification.orders.held_exits import HeldExits
from services.exit_qualification.orders.locked_exit import LockedExit, lock_exit, qualify_again
from services.exit_qualification.orders.terms import POSTPONED, OrderTerms
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.send_fence import SendFence
from shared.clock import Clock
from shared.contracts.events import Event
from shared.contracts.vocabulary import IntentStatus
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.row_locks import RowHeld, limit_lock_waits, own_row_only
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)

RECORD_LOCK_TIMEOUT_MS = 3_000
"""Longest wait to record an outcome: longer than the reconciler holds a row, short enough for a sender."""

LONGEST_ERROR = 2000
"""Maximum characters of a broker's message stored on an intent."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Intent committed as SUBMITTING, with the monotonic time until it may be sent.

    `sent_before` is the time of an earlier attempt, if any.
    """

    intent: ExitIntent
    broker: BrokerPort
    deadline: float
    sent_before: datetime | None


class OrderExecutionService:
    """Sends exits one by one. Stateless, so many threads can share it."""

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        qualification: ExitQualificationService,
        terms: OrderTerms,
        clock: Clock,
        held: HeldExits,
    ) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._qualification = qualification
        self._terms = terms
        self._clock = clock
        self._held = held

    def execute_next(self) -> bool:
        """Process the oldest intent that may be sent; return False if there is none."""
        deadline = self._clock.monotonic() + self._terms.claim.total_seconds()
        with self._open_unit() as uow:
            claimed = OrderQueues(uow.connection).find_pending_approved()
            if claimed is None:
                return False
            intent = ExitIntentRepository(uow.connection).get(claimed.intent_id)
            try:
                with own_row_only():
                    submission = self._submit(uow, lock_exit(uow.connection, intent), deadline)
                    uow.commit()
            except RowHeld:
                self._held.note(intent.trade_id)
                submission = None
                uow.connection.rollback()
                limit_lock_waits(uow.connection)
                self._wait(uow, intent, POSTPONED)  # a row of the trade other than those locked above
                uow.connection.commit()
        if submission is not None:
            self._send(submission)
        return True

    def _submit(self, uow: UnitOfWork, locked: LockedExit, deadline: float) -> Submission | None:
        """Evaluate the gates a last time; return None if the intent must not be sent now."""
        if locked.intent.status is not IntentStatus.APPROVED:
            return None  # another sender took the intent after our query of the queue
        switches = SwitchRepository(uow.connection).read()
        market = MarketFactsRepository(uow.connection).read([locked.intent.symbol])[locked.intent.symbol]
        result = qualify_again(uow.connection, locked, switches, market, self._qualification)
        if result.status is IntentStatus.REJECTED:
            self._reject(uow, locked.intent, result)
            return None
        if not (result.passed and result.executable):
            self._wait(uow, locked.intent, POSTPONED)
            return None
        try:
            broker = self._brokers.port(switches.brokers[locked.intent.user_broker_id])
        except BrokerUnavailable as error:
            log.error("intent %s cannot be sent: %s", locked.intent.intent_id, error)
            code = NOT_SUPPORTED if isinstance(error, BrokerNotSupported) else UNREACHABLE
            self._wait(uow, locked.intent, POSTPONED, error_code=code, error_message=str(error)[:LONGEST_ERROR])
            return None
        submitting = self._mark_submitting(uow, locked.intent, result)
        return Submission(submitting, broker, deadline, locked.intent.submitted_at)

    def _mark_submitting(self, uow: UnitOfWork, intent: ExitIntent, result: ExitQualificationResult) -> ExitIntent:
        now = OrderQueues(uow.connection).now()
        return ExitIntentRepository(uow.connection).mark_submitting(
            intent,
            at=now,
            claimed_until=now + self._terms.claim,
            quantity=result.calculated_qty,
            gates=result.verdicts_json(),
        )

    def _reject(self, uow: UnitOfWork, intent: ExitIntent, result: ExitQualificationResult) -> None:
        now = OrderQueues(uow.connection).now()
        rejected = ExitIntentRepository(uow.connection).update_status(
            intent, IntentStatus.REJECTED, gates=result.verdicts_json(), errors=result.errors_json(), ended_at=now
        )
        uow.emit(intent_events.rejected(rejected, now))

    def _wait(self, uow: UnitOfWork, intent: ExitIntent, wait: timedelta, **changes: str) -> None:
        until = OrderQueues(uow.connection).now() + wait
        ExitIntentRepository(uow.connection).update(intent, claimed_until=until, **changes)

    def _send(self, submission: Submission) -> None:
        failpoint(Failpoint.ORDERS_AFTER_SUBMITTING)
        outcome = self._call(submission)
        failpoint(Failpoint.ORDERS_AFTER_CALL)
        self._record(submission, outcome)

    def _call(self, submission: Submission) -> PlaceOutcome:
        """Send the order to the broker, unless an earlier attempt already did.

        The switches are read once more right before the call. A stall after that read cannot be fenced, so an order may
        leave late. `PUT /kill-switch` lists such an intent, and the reconciler counts an absence only well after that.
        """
        order = exit_order(submission.intent)
        try:
            placed = submission.broker.order_by_tag(order.tag) if submission.intent.attempts > 1 else None
        except BrokerUnavailable as error:
            code = TOKEN_EXPIRED if isinstance(error, TokenExpired) else NOT_ACCEPTED
            reason = f"its tag could not be looked up before sending again: {error}"
            return NotAccepted(reason, code, was_sent=False)
        if placed is not None:
            return Accepted(placed.order_id)
        held_back = self._held_back(submission.intent)
        if held_back is not None:
            return NotAccepted(held_back, HELD_BACK, was_sent=False)
        if self._clock.monotonic() >= submission.deadline:
            return NotAccepted("the claim expired before the call", was_sent=False)
        return submission.broker.place_market_exit(order)

    def _held_back(self, intent: ExitIntent) -> str | None:
        """Return why the intent must not be sent any more; None if it may. Called last, see `SendFence`."""
        try:
            with self._open_unit() as uow:
                may_be_sent = SendFence(uow.connection).may_still_be_sent(intent)
        except SQLAlchemyError as error:
            return f"the switches could not be read before sending: {type(error).__name__}"
        return None if may_be_sent else "a switch was set, or the claim lost, before it was sent"

    def _record(self, submission: Submission, outcome: PlaceOutcome) -> None:
        """Record the outcome. If its row stays locked, the claim expires and the broker's books decide."""
        trade_id = submission.intent.trade_id
        why = "the outcome of its order could not be written; the broker's books decide"
        with self._held.skipping(trade_id, why), self._open_unit() as uow:
            limit_lock_waits(uow.connection, RECORD_LOCK_TIMEOUT_MS)
            intent = lock_exit(uow.connection, submission.intent).intent
            uow.emit(*self._apply(uow, intent, outcome, submission))
            uow.commit()

    def _apply(self, uow: UnitOfWork, intent: ExitIntent, outcome: PlaceOutcome, submission: Submission) -> list[Event]:
        match outcome:
            case Accepted():
                return _accepted(uow, intent, outcome)
            case NotAccepted():
                self._not_accepted(uow, intent, outcome, submission.sent_before)
            case Ambiguous():
                _ambiguous(uow, intent, outcome)
            case _:
                assert_never(outcome)
        return []

    def _not_accepted(
        self, uow: UnitOfWork, intent: ExitIntent, outcome: NotAccepted, sent_before: datetime | None
    ) -> None:
        """Return the intent to APPROVED with the error; an attempt without a request does not count.

        An UNKNOWN intent cannot return; the books decide it.
        """
        log.warning("intent %s was not accepted: %s", intent.intent_id, outcome.reason)
        if intent.status is not IntentStatus.SUBMITTING:
            return
        wait_s = retry_backoff_s(intent.attempts, self._terms.backoff_first_s, self._terms.backoff_max_s)
        until = OrderQueues(uow.connection).now() + timedelta(seconds=wait_s)
        ExitIntentRepository(uow.connection).update_status(
            intent,
            IntentStatus.APPROVED,
            claimed_until=until,
            submitted_at=intent.submitted_at if outcome.was_sent else sent_before,
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
