"""Claims of approved exits: batches of many accounts are committed as SUBMITTING before their brokers are called."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_qualification_service import (
    ExitQualificationResult,
    ExitQualificationService,
)
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import Switches, UserBroker
from services.exit_qualification.orders.brokers.port import (
    NOT_SUPPORTED,
    UNREACHABLE,
    BrokerNotSupported,
    BrokerPort,
    BrokerUnavailable,
)
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.requalifying.locked_exit import (
    GateFacts,
    SlotExit,
    qualify_all_again,
    slot_exits,
)
from services.exit_qualification.orders.sending.call_pace import CallPace
from services.exit_qualification.orders.sending.reservations import NOTHING_RESERVED, Reservation, commit_reserving
from services.exit_qualification.orders.terms import POSTPONED
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.intent_batches import IntentBatches, Submitted
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues, PendingApproved
from shared.contracts.vocabulary import IntentStatus
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.hot_path import pipelined
from shared.postgres.row_locks import RowHeld, limit_lock_waits, own_row_only

log = logging.getLogger(__name__)

LONGEST_ERROR = 2000
"""Maximum characters of a broker's message stored on an intent."""

_Judged = list[tuple[ExitIntent, ExitQualificationResult]]


@dataclass(frozen=True, slots=True)
class Submission:
    """Intent committed as SUBMITTING.

    Attributes
    ----------
    sent_before:
        Time of an earlier request for it, if any.
    entered_at_ms:
        Entry of its trade, in milliseconds since 1970.
    """

    intent: ExitIntent
    sent_before: datetime | None
    entered_at_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Submissions of one account.

    Attributes
    ----------
    deadline:
        Monotonic time until which they may be sent.
    reservation:
        Budget for the first of them.
    """

    account: UserBroker
    broker: BrokerPort
    submissions: tuple[Submission, ...]
    deadline: float
    reservation: Reservation = NOTHING_RESERVED


@dataclass(frozen=True, slots=True)
class Claimed:
    """Result of a query for exits.

    Attributes
    ----------
    found:
        Whether there was anything to look at.
    claims:
        The exits to send, the account with the most urgent exit first.
    is_more:
        Whether other approved exits are left, possibly with a wait.
    """

    found: bool
    claims: tuple[Claim, ...] = ()
    is_more: bool = False


class OrderClaims:
    """Claims batches. Stateless, so many threads can share it.

    Parameters
    ----------
    seems_late:
        Returns whether a trade's square-off time has passed: its broker is asked before its exit is sent. It is called
        within a transaction.
    """

    def __init__(self, context: OrderContext, pace: CallPace, seems_late: Callable[[ExitIntent, int], bool]) -> None:
        self._open_unit = context.open_unit
        self._brokers = context.brokers
        self._terms = context.terms
        self._clock = context.clock
        self._skipped = context.skipped
        self._asked = context.asked
        self._pace = pace
        self._seems_late = seems_late
        self._qualification = ExitQualificationService()

    def claim(self, accounts: int) -> Claimed:
        """Claim the next batches, at most one for each of so many accounts, all in one transaction.

        The gates are evaluated a last time: a rejected exit ends, and a deferred one is postponed.
        """
        deadline = self._clock.monotonic() + self._terms.claim.total_seconds()
        with self._open_unit() as uow:
            found = self._find(uow, accounts)
            if not found:
                return Claimed(found=False, is_more=OrderQueues(uow.connection).anything_approved(self._asked()))
            is_more = found[0].approved > len(found)
            try:
                with own_row_only():
                    claims = self._submit(uow, found, deadline)
            except (RowHeld, IntegrityError):  # of one of them, such as a stop that was just sent to the broker
                uow.connection.rollback()
            else:
                return Claimed(True, tuple(claims), is_more)
        return Claimed(True, tuple(self._one_by_one(found, deadline)), is_more)

    def _find(self, uow: UnitOfWork, accounts: int) -> list[PendingApproved]:
        """Return exits of the first accounts, of each as many as its broker takes in a moment."""
        terms, batches = self._terms, defaultdict[str, list[PendingApproved]](list)
        with pipelined(uow.connection):  # together with the beginning of the transaction
            finding = OrderQueues(uow.connection).ask_pending_approved(
                accounts, terms.largest_batch, terms.in_flight, self._asked()
            )
        for pending in finding.get():
            batches[pending.user_broker_id].append(pending)
        return [
            pending
            for account, batch in list(batches.items())[:accounts]
            for pending in batch[: self._most_at_once(account)]
        ]

    def _most_at_once(self, user_broker_id: str) -> int:
        """Return the largest batch of an account whose last order hardly waits."""
        terms = self._terms
        return min(terms.largest_batch, max(terms.batch, self._pace.orders_while_fresh(user_broker_id)))

    def _one_by_one(self, found: Sequence[PendingApproved], deadline: float) -> list[Claim]:
        """Claim each exit alone, because one of them cannot be claimed."""
        claims: list[Claim] = []
        for pending in found:
            with self._open_unit() as uow:
                try:
                    with own_row_only():
                        alone = self._submit(uow, [pending], deadline)
                except RowHeld:
                    uow.connection.rollback()
                    self._postpone_held(uow, pending)
                else:
                    claims += alone
        return claims

    def _postpone_held(self, uow: UnitOfWork, pending: PendingApproved) -> None:
        """Let an exit wait while another transaction holds the row of its trade."""
        self._skipped.note(pending.trade_id)
        limit_lock_waits(uow.connection)
        try:
            with own_row_only():
                intent = ExitIntentRepository(uow.connection).lock(pending.intent_id)
                if intent.status is IntentStatus.APPROVED:
                    self._wait(uow, intent, POSTPONED)
                uow.connection.commit()
        except RowHeld:
            uow.connection.rollback()

    def _submit(self, uow: UnitOfWork, found: Sequence[PendingApproved], deadline: float) -> list[Claim]:
        """Commit what the gates say, and what may be sent as SUBMITTING; return the latter."""
        exits, facts = _lock(uow, found)
        if not exits:
            return []  # another sender took the intents after our query of the queue
        passed: _Judged = []
        for intent, result in qualify_all_again(exits, facts, self._qualification):
            if result.status is IntentStatus.REJECTED:
                self._reject(uow, intent, result)
            elif result.passed and result.executable:
                passed.append((intent, result))
            else:
                self._wait(uow, intent, POSTPONED)
        switches = facts.switches
        brokers = self._brokers_of(uow, passed, switches)
        reachable = [judged for judged in passed if judged[0].user_broker_id in brokers]
        entered = {it.locked.intent.intent_id: it.locked.trade.trade.entered_at_ms for it in exits}
        submissions, reserved = self._commit(uow, reachable, entered, switches)
        return [
            Claim(
                switches.brokers[account],
                broker,
                tuple(submissions[account]),
                deadline,
                reserved.get(account, NOTHING_RESERVED),
            )
            for account, broker in brokers.items()
            if account in submissions
        ]

    def _brokers_of(self, uow: UnitOfWork, passed: _Judged, switches: Switches) -> dict[str, BrokerPort]:
        """Return the port of each account, in order; exits of an account without one wait."""
        ports: dict[str, BrokerPort] = {}
        for account in dict.fromkeys(intent.user_broker_id for intent, _ in passed):
            try:
                ports[account] = self._brokers.port(switches.brokers[account])
            except BrokerUnavailable as error:
                self._wait_for_adapter(uow, [it for it, _ in passed if it.user_broker_id == account], error)
        return ports

    def _commit(
        self, uow: UnitOfWork, passed: _Judged, entered: Mapping[UUID, int], switches: Switches
    ) -> tuple[Mapping[str, list[Submission]], Mapping[str, Reservation]]:
        """Commit the exits as SUBMITTING; return them and the reserved budget by account."""
        if not passed:
            uow.commit()
            return {}, {}
        sent_before = {intent.intent_id: intent.submitted_at for intent, _ in passed}
        at_once = self._orders_at_once([intent for intent, _ in passed], entered, switches)
        with pipelined(uow.connection):
            submitting = IntentBatches(uow.connection).ask_submit(
                [Submitted(*each) for each in passed], self._terms.claim, self._clock.now()
            )
            reserved = commit_reserving(uow, self._terms.limits, at_once, self._clock)
        by_account: dict[str, list[Submission]] = defaultdict(list)
        for intent in submitting.get():
            submission = Submission(intent, sent_before[intent.intent_id], entered[intent.intent_id])
            by_account[intent.user_broker_id].append(submission)
        return by_account, reserved

    def _orders_at_once(
        self, intents: Sequence[ExitIntent], entered: Mapping[UUID, int], switches: Switches
    ) -> dict[UserBroker, list[ExitIntent]]:
        """Return the orders of each account that leave right after the commit; none if the broker is asked before."""
        first: dict[str, list[ExitIntent]] = defaultdict(list)
        for intent in intents:
            if len(first[intent.user_broker_id]) < self._pace.orders_while_fresh(intent.user_broker_id):
                first[intent.user_broker_id].append(intent)
        return {
            switches.brokers[account]: orders
            for account, orders in first.items()
            if not any(it.submitted_at or self._seems_late(it, entered[it.intent_id]) for it in orders)
        }

    def _wait_for_adapter(self, uow: UnitOfWork, intents: Sequence[ExitIntent], error: BrokerUnavailable) -> None:
        code = NOT_SUPPORTED if isinstance(error, BrokerNotSupported) else UNREACHABLE
        for intent in intents:
            log.error("intent %s cannot be sent: %s", intent.intent_id, error, extra=of_exit(intent))
            self._wait(uow, intent, POSTPONED, error_code=code, error_message=str(error)[:LONGEST_ERROR])

    def _reject(self, uow: UnitOfWork, intent: ExitIntent, result: ExitQualificationResult) -> None:
        now = OrderQueues(uow.connection).now()
        rejected = ExitIntentRepository(uow.connection).update_status(
            intent,
            IntentStatus.REJECTED,
            gates=result.verdicts_after(intent.gates, now),
            errors=result.errors_json(),
            ended_at=now,
        )
        uow.emit(intent_events.rejected(rejected, now))

    def _wait(self, uow: UnitOfWork, intent: ExitIntent, wait: timedelta, **changes: str) -> None:
        until = OrderQueues(uow.connection).now() + wait
        ExitIntentRepository(uow.connection).update(intent, claimed_until=until, **changes)


def _lock(uow: UnitOfWork, found: Sequence[PendingApproved]) -> tuple[list[SlotExit], GateFacts]:
    """Lock the trades and the intents in their slots; return those found that are still approved, and what gates need.

    Raises
    ------
    RowHeld
        Another transaction holds one of the trades.
    """
    trade_ids = sorted({pending.trade_id for pending in found})
    of_legs = [pending.trade_id for pending in found if pending.is_leg]
    repository, fills = OpenTradeRepository(uow.connection), ExitFillRepository(uow.connection)
    with pipelined(uow.connection):
        locking = repository.ask_free(trade_ids)
        holding = ExitIntentRepository(uow.connection).ask_slot_holders(trade_ids)
        switches = SwitchRepository(uow.connection).ask_of({pending.user_broker_id for pending in found})
        markets = MarketFactsRepository(uow.connection).ask({pending.symbol for pending in found})
        filled = fills.ask_totals_of_trades(trade_ids)
    trades, held = locking.get()
    if held:
        raise RowHeld(f"another transaction holds trades {sorted(held)}")
    if of_legs:
        trades |= repository.lock(of_legs)  # with their rules, which only legs need: reading a plan is slow
    facts = GateFacts(switches.get(), markets.get(), filled.get(), fills.totals_of_legs(of_legs))
    return _approved(found, trades, holding.get()), facts


def _approved(
    found: Sequence[PendingApproved], trades: Mapping[UUID, TradeProjection], holders: Sequence[ExitIntent]
) -> list[SlotExit]:
    """Return the exits found that are still approved, in their order."""
    by_id = {holder.intent_id: holder for holder in holders}
    approved = [
        intent
        for pending in found
        if (intent := by_id.get(pending.intent_id)) is not None and intent.status is IntentStatus.APPROVED
    ]
    return slot_exits(approved, trades, holders)
