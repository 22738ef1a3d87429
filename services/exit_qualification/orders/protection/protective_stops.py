"""Protective stops: keeps the stop orders held by brokers in step with the plans of open trades."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from services.exit_qualification.domain.order_terms import BrokerStatus
from services.exit_qualification.domain.protective_stop import (
    HELD,
    EndReason,
    ProtectiveStop,
    StandingStop,
    StopTerms,
)
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.accounts.account_readers import AccountReaders, raise_failures
from services.exit_qualification.orders.brokers.port import (
    TOKEN_EXPIRED,
    BrokerPort,
    BrokerUnavailable,
    TokenExpired,
)
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.context import OrderContext
from services.exit_qualification.orders.metrics import PROTECTIVE_STOPS
from services.exit_qualification.orders.protection.followed_trails import followed_triggers
from services.exit_qualification.orders.protection.stop_placing import StopPlacing
from services.exit_qualification.orders.protection.stop_records import StopRecords
from services.exit_qualification.orders.reconciling.broker_books import (
    BrokerBooks,
    read_books,
    read_placed,
    read_single_orders,
)
from services.exit_qualification.orders.reconciling.broker_positions import positions_by_key, shortfalls
from services.exit_qualification.orders.sending.order_claims import LONGEST_ERROR
from services.exit_qualification.orders.terms import POSTPONED
from services.exit_qualification.storage.broker_positions import BrokerPositionRepository, PositionKey
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from services.exit_qualification.storage.waiting_errors import WaitingErrorRepository
from shared.clock import trading_day
from shared.contracts.vocabulary import ProtectiveStopStatus
from shared.errors import StaleVersion

log = logging.getLogger(__name__)

WATCH_S = 2.0
"""Pause between two reads of the books of an account with all its stops in order."""

FOLLOW_S = 2.0
"""Pause between two looks at how far trailing stops have moved: the order may be changed only so often."""

CHANGE_AGAIN: Final = timedelta(seconds=5)
"""Pause between two requests for the same change: brokers allow few changes of an order."""

NO_ORDERS: Final = BrokerBooks([], [], are_complete=False)

Status = ProtectiveStopStatus


class ProtectiveStops:
    """Places, changes and cancels stop orders, and hands triggered ones over as exits.

    Not thread-safe. Several processes may each run one: every write names the version it read. Of a trade the broker
    holds at most one order. Another exit is sent only once the books confirm the end of the stop, and a stop is
    placed only while no exit is in progress. The database refuses both otherwise. An exit not asked for ends no stop.

    Parameters
    ----------
    on_triggered:
        Called once a triggered stop has become an exit.
    """

    def __init__(self, context: OrderContext, on_triggered: Callable[[], None] = lambda: None) -> None:
        self._open_unit = context.open_unit
        self._brokers = context.brokers
        self._skipped = context.skipped
        self._clock = context.clock
        self._asked = context.asked
        self._records = StopRecords(context.open_unit, context.terms, on_triggered)
        self._placing = StopPlacing(context.open_unit, context.terms, context.asked)
        self._readers = AccountReaders(context.terms.pass_limit.total_seconds())
        self._follow_again_s = 0.0
        self._watch_again_s: dict[str, float] = {}

    def read_again(self) -> None:
        """Let the next pass read every account's books, because a broker told of a change; safe from any thread."""
        self._watch_again_s.clear()

    def keep_once(self) -> bool:
        """Bring the stops of every connected account one step nearer to the terms they should have; return False.

        Raises
        ------
        BrokerUnavailable
            A broker could not be asked; the other accounts were processed.
        """
        with self._open_unit() as uow:
            stops = ProtectiveStopRepository(uow.connection)
            anything = stops.anything()
            unprotected = stops.unprotected() if anything else []
        if not anything:
            _gauge([])
            return False
        for trade_id in unprotected:
            with self._skipped.skipping(trade_id):
                self._records.want(trade_id)
        self._follow()
        self._keep_accounts()
        return False

    def _follow(self) -> None:
        """Record the movement of the trailing stops followed by stops of the broker."""
        if self._clock.monotonic() < self._follow_again_s:
            return
        self._follow_again_s = self._clock.monotonic() + FOLLOW_S
        with self._open_unit() as uow:
            following = ProtectiveStopRepository(uow.connection).following()
            followed = followed_triggers(uow.connection, [stop.trade_id for stop in following])
        for stop in following:
            now = followed.get(stop.trade_id)
            if now is not None and (now.price, now.plan_version) != (stop.followed_price, stop.followed_version):
                self._each(stop, partial(self._records.follow, stop, now))

    def _keep_accounts(self) -> None:
        with self._open_unit() as uow:
            standing = ProtectiveStopRepository(uow.connection).standing(asked=self._asked())
            accounts = SwitchRepository(uow.connection).brokers()
            if any(each.exit_waits for each in standing):
                WaitingErrorRepository(uow.connection).note_held_by_stop()
                uow.commit()
        _gauge(standing)
        of_account: dict[str, list[StandingStop]] = defaultdict(list)
        for each in standing:
            of_account[each.stop.user_broker_id].append(each)
        failures = self._readers.run(
            {
                account.user_broker_id: partial(self._keep, account, of_account[account.user_broker_id])
                for account in accounts
                if account.user_broker_id in of_account
                and account.status is BrokerStatus.CONNECTED
                and not account.token_refused
            }
        )
        self._note_refused_tokens(failures)
        raise_failures(failures)

    def _note_refused_tokens(self, failures: Mapping[str, BaseException]) -> None:
        """Let waiting exits say that their broker refuses the token; by this the account is marked, as after a send."""
        refused = {account: error for account, error in failures.items() if isinstance(error, TokenExpired)}
        if not refused:
            return
        with self._open_unit() as uow:
            errors = WaitingErrorRepository(uow.connection)
            for account, error in sorted(refused.items()):
                errors.note_refused_token(account, TOKEN_EXPIRED, str(error)[:LONGEST_ERROR])
            uow.commit()

    def _keep(self, account: UserBroker, standing: Sequence[StandingStop]) -> None:
        """Read the account's books, then act on its stops as they are now."""
        broker = self._brokers.port(account)
        self._look_up(account, broker, standing)
        with self._open_unit() as uow:
            current = ProtectiveStopRepository(uow.connection).standing(account.user_broker_id, self._asked())
            now = OrderQueues(uow.connection).now()
        for each in current:
            if each.stop.may_be_at_broker:
                self._each(each.stop, partial(self._act, broker, each, now))
        to_place = [each for each in current if each.stop.status is Status.WANTED]
        missing = self._missing(account, broker, to_place)
        for each in to_place:
            self._each(each.stop, partial(self._act_on_wanted, account, broker, each, missing))

    def _look_up(self, account: UserBroker, broker: BrokerPort, standing: Sequence[StandingStop]) -> None:
        sent = [each for each in standing if each.stop.may_be_at_broker]
        now_s = self._clock.monotonic()
        settled = all(each.stop.status is Status.ARMED and each.wanted == each.stop.terms for each in sent)
        if not sent or (settled and now_s < self._watch_again_s.get(account.user_broker_id, 0.0)):
            return
        with self._open_unit() as uow:
            read_at = OrderQueues(uow.connection).now()
        self._read(account, broker, [each.stop for each in sent], read_at)
        self._watch_again_s[account.user_broker_id] = now_s + WATCH_S

    def _read(self, account: UserBroker, broker: BrokerPort, sent: Sequence[ProtectiveStop], read_at: datetime) -> None:
        """Record the facts of today's books; they do not show an order of an earlier day."""
        day = BOOK_DAYS[account.broker]
        today = [stop for stop in sent if stop.submitted_at is not None and day.same_books(stop.submitted_at, read_at)]
        were_shown = all(stop.armed_at is not None for stop in today)
        books = (read_placed(broker, today) if were_shown else read_books(broker)) if today else NO_ORDERS
        for stop in sent:
            sighting = books.sighting(stop) if stop in today else None
            if sighting is not None:
                self._each(stop, partial(self._records.seen, stop, sighting))
            elif books.are_complete or stop not in today:
                self._each(stop, partial(self._records.absent, account, stop, read_at))

    def _act(self, broker: BrokerPort, each: StandingStop, now: datetime) -> None:
        stop, wanted = each.stop, each.wanted
        idle = timedelta.max if stop.asked_at is None else now - stop.asked_at
        if stop.status is Status.CANCELLING and idle >= POSTPONED:
            self._cancel(broker, stop, EndReason.EXIT)
        elif stop.status in HELD and isinstance(wanted, EndReason):
            self._cancel(broker, stop, wanted)
        elif stop.status in HELD and isinstance(wanted, StopTerms):
            differs = wanted != stop.terms
            if differs or (stop.status is Status.REPLACING and idle >= CHANGE_AGAIN):
                self._change(broker, stop, wanted)

    def _act_on_wanted(
        self, account: UserBroker, broker: BrokerPort, each: StandingStop, missing: Mapping[PositionKey, int]
    ) -> None:
        if isinstance(each.wanted, EndReason):
            self._records.drop(each.stop, each.wanted)
            return
        placed = self._placing.place(account, broker, each, missing)
        if placed is not None:
            self._settle(broker, placed)

    def _cancel(self, broker: BrokerPort, stop: ProtectiveStop, reason: EndReason) -> None:
        """Ask for the cancellation and read its result: an exit may wait for it."""
        asked = self._records.ask_to_cancel(stop, reason)
        try:
            broker.cancel(asked.broker_order_id or "")
        except BrokerUnavailable as error:
            log.warning("cannot cancel protective stop %s of trade %s: %s", stop.stop_id, stop.trade_id, error)
        self._settle(broker, asked)

    def _change(self, broker: BrokerPort, stop: ProtectiveStop, terms: StopTerms) -> None:
        asked = self._records.ask_to_change(stop, terms)
        try:
            broker.change_stop(asked.broker_order_id or "", terms.quantity, terms.trigger_price)
        except BrokerUnavailable as error:
            log.warning("cannot change protective stop %s of trade %s: %s", stop.stop_id, stop.trade_id, error)
        self._settle(broker, asked)

    def _settle(self, broker: BrokerPort, stop: ProtectiveStop) -> None:
        """Record the broker's present view of one order; the next pass repeats it if nothing is new."""
        sighting = read_single_orders(broker, [stop.broker_order_id or ""]).sighting(stop)
        if sighting is not None:
            self._records.seen(stop, sighting)

    def _missing(
        self, account: UserBroker, broker: BrokerPort, to_place: Sequence[StandingStop]
    ) -> dict[PositionKey, int]:
        """Return the account's shortage against its open trades: a stop for it could open a position.

        A shortage of exactly the shares that late fills took beyond their trades is explained by them.
        """
        if not to_place:
            return {}
        with self._open_unit() as uow:
            every = BrokerPositionRepository(uow.connection).needed([account.user_broker_id])
        needed = every.get(account.user_broker_id, {})
        missing = shortfalls(needed, positions_by_key(broker, needed.keys()))
        if not missing:
            return {}
        with self._open_unit() as uow:
            day = trading_day(OrderQueues(uow.connection).now())
            beyond = BrokerPositionRepository(uow.connection).beyond(account, day)
        return {key: short for key, short in missing.items() if short != abs(beyond.get(key, 0))}

    def _each(self, stop: ProtectiveStop, step: Callable[[], None]) -> None:
        try:
            with self._skipped.skipping(stop.trade_id):
                step()
        except StaleVersion:
            log.debug("protective stop %s changed meanwhile; the next pass retries", stop.stop_id)


def _gauge(standing: Sequence[StandingStop]) -> None:
    counted = Counter(each.stop.status for each in standing)
    for status in (Status.WANTED, Status.PLACING, Status.ARMED, Status.REPLACING, Status.CANCELLING):
        PROTECTIVE_STOPS.labels(status).set(counted[status])
