"""Reads the broker's books while orders are at work, and updates intents accordingly."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.broker_books import BrokerBooks, Sighting, read_books
from services.exit_qualification.orders.brokers.port import BrokerPort, Brokers, BrokerUnavailable
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.held_exits import HeldExits
from services.exit_qualification.orders.locked_exit import LockedExit, try_lock_exit
from services.exit_qualification.orders.metrics import OLDEST_UNKNOWN_SECONDS, ORDER_LIMIT_REACHED, UNDECIDABLE
from services.exit_qualification.orders.missing_orders import Absence, judge_absence
from services.exit_qualification.orders.outcome_writer import OutcomeWriter
from services.exit_qualification.orders.terms import POSTPONED, OrderTerms
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.contracts.events import Event
from shared.contracts.vocabulary import IntentStatus
from shared.errors import StaleVersion
from shared.outbox.unit_of_work import UnitOfWork
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Account:
    """One read of a user broker's books, begun at `read_at` by the database's clock."""

    user_broker: UserBroker
    broker: BrokerPort
    books: BrokerBooks
    read_at: datetime


@dataclass(slots=True)
class _Work:
    """Intents to look up, by user broker."""

    read_at: datetime
    brokers: dict[str, UserBroker]
    intents: dict[str, list[ExitIntent]] = field(default_factory=lambda: defaultdict(list))

    def may_show(self, intent: ExitIntent, sent_at: datetime) -> bool:
        """Return whether the books of the intent's broker must still show an order sent at that instant."""
        day = BOOK_DAYS.get(self.brokers[intent.user_broker_id].broker)
        return day is not None and day.same_books(sent_at, self.read_at)


class PendingOrderReconciler:
    """Reader of the books. Several processes may each run one: every write names the version it read.

    Parameters
    ----------
    on_progress:
        Called for each intent of a pass, because a pass after an outage exceeds the stall limit of a loop.
    """

    def __init__(
        self,
        open_unit: Callable[[], UnitOfWork],
        brokers: Brokers,
        terms: OrderTerms,
        held: HeldExits,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_progress = on_progress
        self._open_unit = open_unit
        self._brokers = brokers
        self._terms = terms
        self._held = held
        self._late_watched_at: datetime | None = None

    def reconcile_once(self) -> bool:
        """Run one pass over every user broker with orders at work; without any, call no broker.

        Return False: the next pass comes after a wait.

        Raises
        ------
        BrokerUnavailable
            The books of a user broker could not be read; the others were processed.
        """
        work = self._look()
        unread = []
        for user_broker_id, intents in work.intents.items():
            try:
                self._reconcile_account(work.brokers[user_broker_id], intents, work.read_at)
            except BrokerUnavailable as error:
                unread.append(f"{user_broker_id}: {error}")
        if unread:
            raise BrokerUnavailable("; ".join(unread))
        return False

    def _look(self) -> _Work:
        with self._open_unit() as uow:
            queues = OrderQueues(uow.connection)
            lapsed = queues.lapse_claims()
            brokers = {broker.user_broker_id: broker for broker in SwitchRepository(uow.connection).brokers()}
            work = _Work(queues.now(), brokers)
            at_broker = queues.at_broker()
            _gauge(at_broker, work)
            ended = queues.ended_today(BOOK_DAYS) if self._is_time_for_late_fills(work.read_at) else []
            uow.commit()
        if lapsed:
            log.warning("%d order sends timed out; marked UNKNOWN until reconciliation", lapsed)
        for intent in [*at_broker, *ended]:
            work.intents[intent.user_broker_id].append(intent)
        return work

    def _is_time_for_late_fills(self, now: datetime) -> bool:
        if self._late_watched_at is not None and now - self._late_watched_at < self._terms.late_watch:
            return False
        self._late_watched_at = now
        return True

    def _reconcile_account(self, user_broker: UserBroker, intents: list[ExitIntent], read_at: datetime) -> None:
        broker = self._brokers.port(user_broker)
        account = _Account(user_broker, broker, read_books(broker), read_at)
        failpoint(Failpoint.ORDERS_BETWEEN_FETCH_AND_APPLY)
        self._each(account, intents, self._settle)
        with self._open_unit() as uow:
            excess = OrderQueues(uow.connection).beyond_remainder(user_broker.user_broker_id)
        self._each(account, excess, self._cancel_excess)

    def _each(
        self, account: _Account, intents: Iterable[ExitIntent], step: Callable[[_Account, ExitIntent], None]
    ) -> None:
        for intent in intents:
            self._on_progress()
            try:
                with self._held.skipping(intent.trade_id):
                    step(account, intent)
            except StaleVersion:
                log.debug("intent %s changed while the books were read; the next pass retries", intent.intent_id)

    def _cancel_excess(self, account: _Account, intent: ExitIntent) -> None:
        """Cancel an order larger than the quantity left after late fills; repeated in every pass until it has ended."""
        sighting = account.books.sighting(intent)
        asked_at = intent.cancel_requested_at
        if sighting is None or not sighting.is_working:
            return
        if asked_at is None or account.read_at - asked_at >= POSTPONED:
            self._cancel(account, intent, sighting.order_id)

    def _settle(self, account: _Account, intent: ExitIntent) -> None:
        sighting = account.books.sighting(intent)
        if sighting is None:
            self._absent(account, intent)
        elif _says_something_new(intent, sighting):
            self._write(account, intent, lambda record, locked: record.sighted(locked, sighting))
        elif sighting.is_working and self._is_overdue(intent, account.read_at):
            self._cancel(account, intent, sighting.order_id)

    def _absent(self, account: _Account, intent: ExitIntent) -> None:
        match judge_absence(intent, account.read_at, self._terms, BOOK_DAYS[account.user_broker.broker]):
            case Absence.NEVER_PLACED:
                self._write(account, intent, lambda record, locked: record.never_placed(locked.intent))
            case Absence.REFUSED:
                self._write(account, intent, lambda record, locked: record.refused(locked.intent))
            case Absence.FIRST:
                self._remember_absence(account, intent)
            case Absence.NOTHING | Absence.BOOKS_ARE_NEW:
                pass  # BOOKS_ARE_NEW is shown by a gauge until an operator resolves it

    def _write(
        self, account: _Account, intent: ExitIntent, step: Callable[[OutcomeWriter, LockedExit], list[Event]]
    ) -> None:
        with self._open_unit() as uow:
            locked = _lock_unchanged(uow, intent)
            now = OrderQueues(uow.connection).now()
            record = OutcomeWriter(uow.connection, account.user_broker, self._terms, now)
            uow.emit(*step(record, locked))
            uow.commit()
        for reason in record.limits_reached:
            ORDER_LIMIT_REACHED.labels(reason).inc()

    def _remember_absence(self, account: _Account, intent: ExitIntent) -> None:
        with self._open_unit() as uow:
            locked = _lock_unchanged(uow, intent)
            ExitIntentRepository(uow.connection).update(locked.intent, absent_since=account.read_at)
            uow.commit()

    def _is_overdue(self, intent: ExitIntent, now: datetime) -> bool:
        """Return whether to cancel a working order: it is unfilled for too long, or its intent has ended."""
        asked_at = intent.cancel_requested_at
        if asked_at is not None and now - asked_at < self._terms.unfilled_cancel:
            return False
        if intent.status in ENDED_SHORT:
            return True
        return intent.placed_at is not None and now - intent.placed_at >= self._terms.unfilled_cancel

    def _cancel(self, account: _Account, intent: ExitIntent, order_id: str) -> None:
        """Request the cancellation of an order once per interval; the result is read from the book."""
        with self._open_unit() as uow:
            locked = _lock_unchanged(uow, intent)
            asked_at = OrderQueues(uow.connection).now()
            ExitIntentRepository(uow.connection).update(locked.intent, cancel_requested_at=asked_at)
            uow.commit()
        try:
            account.broker.cancel(order_id)
        except BrokerUnavailable as error:
            log.warning("cannot cancel order %s of intent %s: %s", order_id, intent.intent_id, error)


def _lock_unchanged(uow: UnitOfWork, intent: ExitIntent) -> LockedExit:
    """Lock an intent read earlier.

    Raises
    ------
    StaleVersion
        The intent has changed since.
    RowHeld
        Another transaction holds its trade.
    """
    locked = try_lock_exit(uow.connection, intent)
    if locked.intent.version != intent.version:
        raise StaleVersion(f"intent {intent.intent_id} has changed since version {intent.version}")
    return locked


def _says_something_new(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether the books show news about the intent; avoids a transaction for each waiting order."""
    if sighting.filled_quantity > intent.filled_quantity:
        return True
    if intent.status in ENDED_SHORT:
        return False
    undecided = intent.status in (IntentStatus.SUBMITTING, IntentStatus.UNKNOWN)
    return undecided or sighting.state in (OrderState.CANCELLED, OrderState.REJECTED)


def _gauge(at_broker: Iterable[ExitIntent], work: _Work) -> None:
    """Set the age of the oldest UNKNOWN intent and the number of intents only an operator can resolve."""
    sent = [(intent, intent.submitted_at) for intent in at_broker if intent.submitted_at is not None]
    ages = [(work.read_at - at).total_seconds() for intent, at in sent if intent.status is IntentStatus.UNKNOWN]
    OLDEST_UNKNOWN_SECONDS.set(max(ages, default=0.0))
    UNDECIDABLE.set(sum(not work.may_show(intent, at) for intent, at in sent))
