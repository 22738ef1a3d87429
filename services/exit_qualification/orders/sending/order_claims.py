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
    Brokers,
    BrokerUnavailable,
)
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.requalifying.held_exits import HeldExits
from services.exit_qualification.orders.requalifying.locked_exit import (
    LockedExit,
    SlotExit,
    others_of_trade,
    qualify_all_again,
)
from services.exit_qualification.orders.sending.call_pace import CallPace
from services.exit_qualification.orders.terms import POSTPONED, OrderTerms
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.intent_batches import IntentBatches, Submitted
from services.exit_qualification.storage.market_facts import MarketFactsRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository, TradeProjection
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues, PendingApproved
from shared.clock import Clock
from shared.contracts.vocabulary import IntentStatus
from shared.outbox.unit_of_work import UnitOfWork
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
    """Submissions of one account, with the monotonic time until they may be sent."""

    account: UserBroker
    broker: BrokerPort
    submissions: tuple[Submission, ...]
    deadline: float


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
    """Claims batches. Stateless, so many threads can share it."""

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        qualification: ExitQualificationService,
        terms: OrderTerms,
        clock: Clock,
        held: HeldExits,
        pace: CallPace,
    ) -> None:
        self._open_unit = open_unit
        self._brokers = brokers
        self._qualification = qualification
        self._terms = terms
        self._clock = clock
        self._held = held
        self._pace = pace

    def claim(self, accounts: int) -> Claimed:
        """Claim the next batches, at most one for each of so many accounts, all in one transaction.

        The gates are evaluated a last time: a rejected exit ends, and a deferred one is postponed.
        """
        deadline = self._clock.monotonic() + self._terms.claim.total_seconds()
        with self._open_unit() as uow:
            found = self._find(uow, accounts)
            if not found:
                return Claimed(found=False, is_more=OrderQueues(uow.connection).anything_approved())
            is_more = found[0].approved > len(found)
            try:
                with own_row_only():
                    claims = self._submit(uow, found, deadline)
                    uow.commit()
            except (RowHeld, IntegrityError):  # of one of them, such as a stop just sent to the broker
                uow.connection.rollback()
            else:
                return Claimed(True, tuple(claims), is_more)
        return Claimed(True, tuple(self._one_by_one(found, deadline)), is_more)

    def _find(self, uow: UnitOfWork, accounts: int) -> list[PendingApproved]:
        """Return exits of the first accounts, of each as many as its broker takes in a moment."""
        terms, batches = self._terms, defaultdict[str, list[PendingApproved]](list)
        queues = OrderQueues(uow.connection)
        for pending in queues.find_pending_approved(accounts, terms.largest_batch, terms.in_flight):
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
                        uow.commit()
                except RowHeld:
                    uow.connection.rollback()
                    self._postpone_held(uow, pending)
                else:
                    claims += alone
        return claims

    def _postpone_held(self, uow: UnitOfWork, pending: PendingApproved) -> None:
        """Let an exit wait while another transaction holds the row of its trade."""
        self._held.note(pending.trade_id)
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
        exits = _lock(uow, found)
        if not exits:
            return []  # another sender took the intents after our query of the queue
        switches = SwitchRepository(uow.connection).read()
        passed: _Judged = []
        markets = MarketFactsRepository(uow.connection).read({it.locked.intent.symbol for it in exits})
        for intent, result in qualify_all_again(uow.connection, exits, switches, markets, self._qualification):
            if result.status is IntentStatus.REJECTED:
                self._reject(uow, intent, result)
            elif result.passed and result.executable:
                passed.append((intent, result))
            else:
                self._wait(uow, intent, POSTPONED)
        brokers = self._brokers_of(uow, passed, switches)
        reachable = [judged for judged in passed if judged[0].user_broker_id in brokers]
        entered = {it.locked.intent.intent_id: it.locked.trade.trade.entered_at_ms for it in exits}
        submissions = self._submissions(uow, reachable, entered)
        return [
            Claim(switches.brokers[account], broker, tuple(submissions[account]), deadline)
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

    def _submissions(
        self, uow: UnitOfWork, passed: _Judged, entered: Mapping[UUID, int]
    ) -> Mapping[str, list[Submission]]:
        """Mark the exits as SUBMITTING; return them by account."""
        wanted = [Submitted(intent, result) for intent, result in passed]
        sent_before = {intent.intent_id: intent.submitted_at for intent, _ in passed}
        by_account: dict[str, list[Submission]] = defaultdict(list)
        for intent in IntentBatches(uow.connection).submit(wanted, self._terms.claim):
            submission = Submission(intent, sent_before[intent.intent_id], entered[intent.intent_id])
            by_account[intent.user_broker_id].append(submission)
        return by_account

    def _wait_for_adapter(self, uow: UnitOfWork, intents: Sequence[ExitIntent], error: BrokerUnavailable) -> None:
        code = NOT_SUPPORTED if isinstance(error, BrokerNotSupported) else UNREACHABLE
        for intent in intents:
            log.error("intent %s cannot be sent: %s", intent.intent_id, error, extra=of_exit(intent))
            self._wait(uow, intent, POSTPONED, error_code=code, error_message=str(error)[:LONGEST_ERROR])

    def _reject(self, uow: UnitOfWork, intent: ExitIntent, result: ExitQualificationResult) -> None:
        now = OrderQueues(uow.connection).now()
        rejected = ExitIntentRepository(uow.connection).update_status(
            intent, IntentStatus.REJECTED, gates=result.verdicts_json(), errors=result.errors_json(), ended_at=now
        )
        uow.emit(intent_events.rejected(rejected, now))

    def _wait(self, uow: UnitOfWork, intent: ExitIntent, wait: timedelta, **changes: str) -> None:
        until = OrderQueues(uow.connection).now() + wait
        ExitIntentRepository(uow.connection).update(intent, claimed_until=until, **changes)


def _lock(uow: UnitOfWork, found: Sequence[PendingApproved]) -> list[SlotExit]:
    """Lock the trades and the intents in their slots; return those found still approved, in their order."""
    trades = _lock_trades(uow, found)
    holders = ExitIntentRepository(uow.connection).find_slot_holders(sorted(trades))
    by_id = {holder.intent_id: holder for holder in holders}
    approved = [
        intent
        for pending in found
        if (intent := by_id.get(pending.intent_id)) is not None and intent.status is IntentStatus.APPROVED
    ]
    return [SlotExit(LockedExit(it, trades[it.trade_id]), others_of_trade(it, holders)) for it in approved]


def _lock_trades(uow: UnitOfWork, found: Sequence[PendingApproved]) -> dict[UUID, TradeProjection]:
    """Lock and return the trades; with their rules only for exits of legs, because reading a plan is slow.

    Raises
    ------
    RowHeld
        Another transaction holds one of them.
    """
    repository = OpenTradeRepository(uow.connection)
    trades, held = repository.lock_free([pending.trade_id for pending in found])
    if held:
        raise RowHeld(f"another transaction holds trades {sorted(held)}")
    of_legs = [pending.trade_id for pending in found if pending.is_leg]
    return {**trades, **repository.lock(of_legs)} if of_legs else trades
