"""Fills of stops at the broker after their end: late fills of an exit, as of any other ended order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from services.exit_qualification import intent_events, protective_stop_events
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.reconciling.broker_books import BrokerBooks, Sighting
from services.exit_qualification.orders.reconciling.broker_signals import broker_signal
from services.exit_qualification.orders.reconciling.outcome_writer import OutcomeWriter
from services.exit_qualification.orders.reconciling.stop_exits import stop_exit
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit
from services.exit_qualification.orders.skipped_trades import SkippedTrades
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.errors import StaleVersion
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)


class LateStopFills:
    """Gives ended stops with fills an exit, ended as well: from then on it is watched as every ended exit is."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], terms: OrderTerms, skipped: SkippedTrades) -> None:
        self._open_unit = open_unit
        self._terms = terms
        self._skipped = skipped

    def record(self, account: UserBroker, books: BrokerBooks, ended: Sequence[ProtectiveStop]) -> None:
        """Record the fills in the books of ended stops without an exit; a trade held by others waits."""
        for stop in ended:
            sighting = books.sighting(stop)
            if sighting is None or sighting.filled_quantity == 0:
                continue
            try:
                with self._skipped.skipping(stop.trade_id):
                    self._record(account, stop, sighting)
            except StaleVersion:
                log.debug("protective stop %s has its exit already", stop.stop_id)

    def _record(self, account: UserBroker, stop: ProtectiveStop, sighting: Sighting) -> None:
        with self._open_unit() as uow:
            trades, stops = OpenTradeRepository(uow.connection), ProtectiveStopRepository(uow.connection)
            trade = trades.lock_now(stop.trade_id)
            stops.lock(stop)
            now = OrderQueues(uow.connection).now()
            intent = _write_exit(uow, stop, sighting, now)
            of_exit = stops.update(stop, intent_id=intent.intent_id)
            outcome = OutcomeWriter(uow.connection, account, self._terms, now)
            uow.emit(*outcome.sighted(LockedExit(intent, trade), sighting))
            uow.emit(protective_stop_events.changed(of_exit, now))
            uow.commit()


def _write_exit(uow: UnitOfWork, stop: ProtectiveStop, sighting: Sighting, now: datetime) -> ExitIntent:
    """Write the exit of a stop as it ended, without fills.

    The broker's stop was touched, so a rest of the trade exits as after any stop that ended short.
    """
    signal = broker_signal(uow, stop, ExitReason.STOP_LOSS, now)
    intent = stop_exit(
        stop,
        signal,
        IntentStatus.CANCELLED,
        stop.quantity,
        now,
        cancel_reason=CancelReason.BY_BROKER,
        broker_order_id=sighting.order_id,
        submitted_at=stop.submitted_at,
        placed_at=stop.armed_at or stop.submitted_at,
        ended_at=stop.ended_at,
    )
    ExitIntentRepository(uow.connection).insert([intent], [signal])
    uow.emit(intent_events.signal_published(signal))
    return intent
