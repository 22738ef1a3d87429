"""Reads the broker's books while orders are at work, and updates intents accordingly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.intent_state_machine import ENDED_SHORT
from services.exit_qualification.domain.outcome import outcome_of_fills
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_readers import AccountReaders, raise_failures
from services.exit_qualification.orders.brokers.port import BrokerPort, BrokerUnavailable
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.metrics import (
    ORDER_LIMIT_REACHED,
    POSITION_UNCLEAR,
    RESIZED_AT_BROKER,
)
from services.exit_qualification.orders.reconciling.broker_books import BrokerBooks, Sighting, read_books, read_placed
from services.exit_qualification.orders.reconciling.broker_positions import positions_by_key
from services.exit_qualification.orders.reconciling.late_fill_watch import LateFillWatch
from services.exit_qualification.orders.reconciling.late_stop_fills import LateStopFills
from services.exit_qualification.orders.reconciling.missing_orders import (
    DECIDED_BY_POSITION,
    Absence,
    judge_absence,
    order_of,
)
from services.exit_qualification.orders.reconciling.order_outcomes import AT_WORK, OrderOutcomes, filled_among
from services.exit_qualification.orders.reconciling.outcome_writer import OutcomeWriter
from services.exit_qualification.orders.reconciling.pending_work import PendingWork, find_work
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit, try_lock_exit
from services.exit_qualification.orders.terms import POSTPONED
from services.exit_qualification.storage.broker_positions import BrokerPositionRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.clock import trading_day
from shared.contracts.events import Event
from shared.errors import StaleVersion
from shared.outbox.unit_of_work import UnitOfWork
from shared.runtime.failpoints import Failpoint, failpoint

log = logging.getLogger(__name__)

JUST_PLACED = timedelta(seconds=2)
"""Time for which an order is read alone, if all of its account's orders are as new."""


@dataclass(slots=True)
class _Account:
    """One read of a user broker's books, begun at `read_at` by the database's clock, and the cancels it asks for.

    Cancels wait until every outcome of the read is written.
    """

    user_broker: UserBroker
    broker: BrokerPort
    books: BrokerBooks
    read_at: datetime
    cancels: list[tuple[ExitIntent, str]] = field(default_factory=list)


class PendingOrderReconciler:
    """Reader of the books. Several processes may each run one: every write names the version it read.

    Parameters
    ----------
    on_progress:
        Called for each intent of a pass, because a pass after an outage exceeds the stall limit of a loop.
    """

    def __init__(
        self,
        context: OrderContext,
        readers: AccountReaders,
        outcomes: OrderOutcomes,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_unit = context.open_unit
        self._open_look = context.open_look
        self._brokers = context.brokers
        self._terms = context.terms
        self._skipped = context.skipped
        self._readers = readers
        self._outcomes = outcomes
        self._on_progress = on_progress
        self._late_fills = LateFillWatch(context.terms)
        self._late_stops = LateStopFills(context.open_unit, context.terms, context.skipped)
        self._seen_at: dict[UUID, datetime] = {}
        self._unclear: set[UUID] = set()

    def reconcile_once(self) -> bool:
        """Run one pass over every user broker with orders at work, side by side; without any, call no broker.

        Return whether orders are at work. An account with a broker slower than `pass_limit` is left out of
        passes until it has answered.

        Raises
        ------
        BrokerUnavailable
            The books of a user broker could not be read; the others were processed.
        """
        work = self._look()
        failures = self._readers.run(
            {account: partial(self._reconcile_account, account, work) for account in work.accounts}
        )
        raise_failures(failures)
        return bool(work.accounts)

    def _look(self) -> PendingWork:
        with self._open_look() as connection:
            work = find_work(connection, self._terms.answer_wait, self._late_fills)
        work.show()
        at_broker = {intent.intent_id for intent in work.at_broker}
        for intent_id in self._seen_at.keys() - at_broker:
            self._seen_at.pop(intent_id, None)
        self._unclear &= at_broker
        POSITION_UNCLEAR.set(len(self._unclear))
        return work

    def _reconcile_account(self, name: str, work: PendingWork) -> None:
        user_broker, intents, stops = work.brokers[name], work.intents.get(name, []), work.stops.get(name, [])
        broker = self._brokers.port(user_broker)
        fills_today = work.ended.fills_today.get(name)
        needs_whole_books = bool(stops) or fills_today is not None
        books = read_books(broker) if needs_whole_books else _read(broker, intents, work.read_at)
        account = _Account(user_broker, broker, books, work.read_at)
        self._late_fills.note_book_size(name, broker.book_size)
        failpoint(Failpoint.ORDERS_BETWEEN_FETCH_AND_APPLY)
        seen = [(intent, account.books.sighting(intent)) for intent in intents]
        recorded = {intent.intent_id for intent in self._outcomes.record(filled_among(user_broker, seen))}
        for _ in recorded:
            self._on_progress()
        self._each(account, [intent for intent in intents if intent.intent_id not in recorded], self._settle)
        self._late_stops.record(user_broker, books, stops)
        if fills_today is not None:
            self._each(account, self._filled_behind(account), self._settle)
            self._late_fills.note_compared(name, fills_today)
        if needs_whole_books or len(recorded) < len(intents):
            with self._open_unit() as uow:
                excess = OrderQueues(uow.connection).beyond_remainder([user_broker.user_broker_id])
            self._each(account, excess, self._cancel_excess)
        for intent, order_id in account.cancels:
            self._each(account, [intent], partial(self._cancel, order_id=order_id))

    def _filled_behind(self, account: _Account) -> list[ExitIntent]:
        """Return filled exits with orders raised by somebody before their first read: senders read the fills alone."""
        with self._open_unit() as uow:
            return OrderQueues(uow.connection).filled_behind(
                account.user_broker.user_broker_id, account.books.orders_of_ours()
            )

    def _each(
        self, account: _Account, intents: Iterable[ExitIntent], step: Callable[[_Account, ExitIntent], None]
    ) -> None:
        for intent in intents:
            self._on_progress()
            try:
                with self._skipped.skipping(intent.trade_id):
                    step(account, intent)
            except StaleVersion:
                log.debug(
                    "intent %s changed while the books were read; the next pass retries",
                    intent.intent_id,
                    extra=of_exit(intent),
                )

    def _cancel_excess(self, account: _Account, intent: ExitIntent) -> None:
        """Cancel an order larger than the quantity left after late fills; repeated in every pass until it has ended."""
        sighting = account.books.sighting(intent)
        if sighting is not None and sighting.is_working and _may_ask_again(intent, account.read_at):
            account.cancels.append((intent, sighting.order_id))

    def _settle(self, account: _Account, intent: ExitIntent) -> None:
        sighting = account.books.sighting(intent)
        if sighting is None:
            if account.books.are_complete:
                self._absent(account, intent)
            return
        self._seen_at[intent.intent_id] = account.read_at
        if _says_something_new(intent, sighting):
            self._write(account, intent, lambda record, locked: record.sighted(locked, sighting))
        elif sighting.is_working and self._is_overdue(intent, account.read_at):
            account.cancels.append((intent, sighting.order_id))
        if sighting.works_beyond(intent.quantity) and _may_ask_again(intent, account.read_at):
            self._cancel_raised(account, intent, sighting)

    def _cancel_raised(self, account: _Account, intent: ExitIntent, sighting: Sighting) -> None:
        """Cancel an order raised by somebody beyond the exit's quantity at the broker."""
        RESIZED_AT_BROKER.labels("raised").inc()
        log.error("order %s of intent %s was raised from %d to %s at the broker and is cancelled",
                  sighting.order_id, intent.intent_id, intent.quantity, sighting.order.quantity,
                  extra=of_exit(intent))  # fmt: skip
        with self._open_unit() as uow:
            current = ExitIntentRepository(uow.connection).get(intent.intent_id)
        account.cancels.append((current, sighting.order_id))

    def _absent(self, account: _Account, intent: ExitIntent) -> None:
        day, seen_at = BOOK_DAYS[account.user_broker.broker], self._seen_at.get(intent.intent_id)
        absence = judge_absence(order_of(intent), account.read_at, self._terms, day, seen_at)
        if absence in DECIDED_BY_POSITION and not self._is_still_held(account, intent):
            # The position is too small: the order may have filled, unseen or in books that lag.
            if absence is Absence.DAY_ENDED_UNSEEN:
                self._remember_absence(account, intent)  # positions are read again after the gap, not in each pass
            return
        match absence:
            case Absence.NEVER_PLACED:
                self._write(account, intent, lambda record, locked: record.never_placed(locked.intent))
            case Absence.REFUSED:
                self._write(account, intent, lambda record, locked: record.refused(locked.intent))
            case Absence.DAY_ENDED | Absence.DAY_ENDED_UNSEEN:
                self._write(account, intent, lambda record, locked: record.day_ended(locked.intent))
            case Absence.FIRST:
                self._remember_absence(account, intent)
            case Absence.NOTHING | Absence.BOOKS_ARE_NEW:
                pass  # BOOKS_ARE_NEW is shown by a gauge until an operator resolves it

    def _is_still_held(self, account: _Account, intent: ExitIntent) -> bool:
        """Return whether the account's position still covers the open trades of the intent's symbol and product.

        A shortage of exactly the shares that late fills took beyond their trades has no unseen fill behind it.

        Raises
        ------
        BrokerUnavailable
            The positions could not be read; unknown is not flat.
        """
        key = intent.symbol, intent.product_type.value
        position = positions_by_key(account.broker, [key]).get(key, 0)
        with self._open_unit() as uow:
            rows = BrokerPositionRepository(uow.connection)
            needed = rows.needed([intent.user_broker_id])
            beyond = rows.beyond(account.user_broker, trading_day(account.read_at))
        expected = needed.get(intent.user_broker_id, {}).get(key, 0)
        missing = (expected - position) * intent.direction.sign  # also where trades of both directions net to nothing
        if missing == beyond.get(key, 0) * intent.direction.sign:
            return True
        if missing > 0 and intent.intent_id not in self._unclear:
            log.error("order of intent %s is not in the books, but account %s holds %d of %s %s less than its trades "
                      "need: it stays %s", intent.intent_id, intent.user_broker_id, missing, *key, intent.status,
                      extra=of_exit(intent))  # fmt: skip
            self._unclear.add(intent.intent_id)
        return missing <= 0

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
            log.warning(
                "cannot cancel order %s of intent %s: %s", order_id, intent.intent_id, error, extra=of_exit(intent)
            )


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


def _read(broker: BrokerPort, intents: Sequence[ExitIntent], read_at: datetime) -> BrokerBooks:
    """Read the orders alone if all were just placed and they are few, else the whole books."""
    are_new = all(
        intent.status in AT_WORK and intent.placed_at is not None and read_at - intent.placed_at < JUST_PLACED
        for intent in intents
    )
    return read_placed(broker, intents) if are_new else read_books(broker)


def _may_ask_again(intent: ExitIntent, now: datetime) -> bool:
    """Return whether the last request to cancel the order is long enough ago."""
    return intent.cancel_requested_at is None or now - intent.cancel_requested_at >= POSTPONED


def _says_something_new(intent: ExitIntent, sighting: Sighting) -> bool:
    """Return whether the books show news about the intent; avoids a transaction for each waiting order."""
    if sighting.filled_quantity > intent.filled_quantity:
        return True
    if intent.status in ENDED_SHORT:
        return False
    # Also an order lowered to what it has filled: its end may be read after its last fill.
    quantity = sighting.order.quantity
    return (
        outcome_of_fills(intent, sighting.filled_quantity, sighting.state, order_quantity=quantity) is not intent.status
    )
