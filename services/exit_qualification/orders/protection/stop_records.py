"""Steps of protective stops as transactions: each locks the trade, then the stop, and names the version it read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from services.exit_qualification import protective_stop_events
from services.exit_qualification.domain.outcome import OrderState
from services.exit_qualification.domain.protective_stop import (
    EndReason,
    FollowedTrigger,
    ProtectiveStop,
    StandingStop,
    StopTerms,
)
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.orders.metrics import PROTECTIVE_STOPS_FAILED
from services.exit_qualification.orders.protection.followed_trails import followed_triggers
from services.exit_qualification.orders.protection.triggered_stops import take_over
from services.exit_qualification.orders.reconciling.broker_books import Sighting
from services.exit_qualification.orders.reconciling.missing_orders import Absence, SentOrder, judge_absence
from services.exit_qualification.orders.terms import OrderTerms
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from services.exit_qualification.storage.protective_stops import ProtectiveStopRepository
from shared.contracts.vocabulary import ProtectiveStopStatus
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

Status = ProtectiveStopStatus


class StopRecords:
    """Writer of the steps. Stateless, so many threads can share it.

    Every method may raise RowHeld if another transaction holds the trade, and StaleVersion if the stop has changed.

    Parameters
    ----------
    on_triggered:
        Called once a triggered stop has become an exit: the broker's books have news of it.
    """

    def __init__(
        self, open_unit: Callable[[], UnitOfWork], terms: OrderTerms, on_triggered: Callable[[], None]
    ) -> None:
        self._open_unit = open_unit
        self._terms = terms
        self._on_triggered = on_triggered

    def want(self, trade_id: UUID) -> None:
        """Write the stop a trade should have; it is placed by a later step."""
        with self._open_unit() as uow:
            OpenTradeRepository(uow.connection).lock_now(trade_id)
            followed = followed_triggers(uow.connection, [trade_id]).get(trade_id)
            if ProtectiveStopRepository(uow.connection).want(trade_id, followed):
                uow.commit()

    def follow(self, stop: ProtectiveStop, followed: FollowedTrigger) -> None:
        """Record how far the trailing stop of a trade has moved; the order is changed by a later step."""
        with self._open_unit() as uow:
            self._lock(uow, stop)
            ProtectiveStopRepository(uow.connection).update(
                stop, followed_price=followed.price, followed_version=followed.plan_version
            )
            uow.commit()

    def drop(self, stop: ProtectiveStop, reason: EndReason) -> None:
        """End an unsent stop."""
        with self._open_unit() as uow:
            self._lock(uow, stop)
            self._end(uow, stop, Status.CANCELLED, reason)
            uow.commit()

    def ask_to_cancel(self, stop: ProtectiveStop, reason: EndReason) -> ProtectiveStop:
        """Record that the order is to be cancelled, before the broker is asked."""
        with self._open_unit() as uow:
            self._lock(uow, stop)
            now = OrderQueues(uow.connection).now()
            asked = ProtectiveStopRepository(uow.connection).update(
                stop, status=Status.CANCELLING, end_reason=stop.end_reason or reason, asked_at=now
            )
            uow.commit()
        return asked

    def ask_to_change(self, stop: ProtectiveStop, terms: StopTerms) -> ProtectiveStop:
        """Record the terms the order should have, before the broker is asked."""
        with self._open_unit() as uow:
            self._lock(uow, stop)
            now = OrderQueues(uow.connection).now()
            asked = ProtectiveStopRepository(uow.connection).update(
                stop,
                status=Status.REPLACING,
                quantity=terms.quantity,
                trigger_price=terms.trigger_price,
                asked_at=now,
                changes=stop.changes + 1,
            )
            uow.commit()
        return asked

    def seen(self, stop: ProtectiveStop, sighting: Sighting) -> None:
        """Record the order as shown in the broker's books."""
        order, triggered = sighting.order, False
        with self._open_unit() as uow:
            standing = self._lock(uow, stop)
            if order.was_triggered or sighting.filled_quantity > 0:
                triggered = True
                self._triggered(uow, standing, sighting.order_id)
            elif order.state is OrderState.CANCELLED:
                reason = EndReason(stop.end_reason) if stop.end_reason else EndReason.BY_BROKER
                self._end(uow, stop, Status.CANCELLED, reason, broker_order_id=sighting.order_id)
            elif order.state is OrderState.REJECTED:
                self._failed(uow, stop, EndReason.REJECTED_BY_BROKER, order.status_message, sighting.order_id)
            elif order.awaits_trigger:
                self._waiting(uow, stop, sighting)
            uow.commit()
        if triggered:
            self._on_triggered()

    def absent(self, account: UserBroker, stop: ProtectiveStop, read_at: datetime) -> None:
        """Record a complete read of the books, begun at `read_at`, without the order."""
        sent = SentOrder(
            stop.submitted_at,
            is_unknown=stop.status is Status.PLACING,
            is_accepted=False,
            error_code=stop.error_code,
            claimed_until=stop.claimed_until,
            absent_since=stop.absent_since,
        )
        absence = judge_absence(sent, read_at, self._terms, BOOK_DAYS[account.broker])
        if absence is Absence.NOTHING:
            return
        with self._open_unit() as uow:
            self._lock(uow, stop)
            if absence is Absence.FIRST:
                ProtectiveStopRepository(uow.connection).update(stop, absent_since=read_at)
            elif absence in (Absence.NEVER_PLACED, Absence.REFUSED):
                self._failed(uow, stop, EndReason.NEVER_PLACED, stop.error_message, None)
            else:
                self._end(uow, stop, Status.CANCELLED, EndReason.DAY_ENDED)
            uow.commit()

    def _waiting(self, uow: UnitOfWork, stop: ProtectiveStop, sighting: Sighting) -> None:
        """Count the stop as armed if the order waits for its trigger with the requested terms."""
        order = sighting.order
        has_terms = (order.quantity, order.trigger_price) == (stop.quantity, stop.trigger_price)
        if stop.status in (Status.PLACING, Status.REPLACING) and has_terms:
            status = Status.ARMED
        elif stop.status in (Status.PLACING, Status.ARMED) and not has_terms:
            status = Status.REPLACING  # somebody changed it at the broker: the next step asks for our terms
        else:
            return
        now = OrderQueues(uow.connection).now()
        changes: dict[str, Any] = {"broker_order_id": sighting.order_id, "absent_since": None, "asked_at": None}
        if status is Status.ARMED:
            changes |= {"armed_at": now, "error_code": None, "error_message": None}
        after = ProtectiveStopRepository(uow.connection).update(stop, status=status, **changes)
        if status is Status.ARMED:
            uow.emit(protective_stop_events.changed(after, now))

    def _triggered(self, uow: UnitOfWork, standing: StandingStop, order_id: str) -> None:
        """End the stop first: the database refuses an exit beside a live one."""
        stops, now = ProtectiveStopRepository(uow.connection), OrderQueues(uow.connection).now()
        ended = stops.update(
            standing.stop, status=Status.TRIGGERED, broker_order_id=order_id, ended_at=now, end_reason=None
        )
        exit_ = take_over(uow, ended, standing.remaining, now)
        if exit_ is None:
            ended = stops.update(ended, end_reason=EndReason.NOTHING_LEFT)
        else:
            ended = stops.update(ended, intent_id=exit_.intent_id)
        uow.emit(protective_stop_events.changed(ended, now))
        log.warning("protective stop %s of trade %s was triggered", ended.stop_id, ended.trade_id)

    def _failed(
        self, uow: UnitOfWork, stop: ProtectiveStop, reason: EndReason, message: str | None, order_id: str | None
    ) -> None:
        log.error("protective stop %s of trade %s: %s: %s", stop.stop_id, stop.trade_id, reason, message)
        PROTECTIVE_STOPS_FAILED.labels(reason).inc()
        self._end(
            uow,
            stop,
            Status.FAILED,
            reason,
            broker_order_id=order_id,
            error_code=stop.error_code or reason,
            error_message=message,
        )

    def _end(
        self, uow: UnitOfWork, stop: ProtectiveStop, status: ProtectiveStopStatus, reason: EndReason, **changes: Any
    ) -> None:
        now = OrderQueues(uow.connection).now()
        ended = ProtectiveStopRepository(uow.connection).update(
            stop, status=status, end_reason=reason, ended_at=now, **changes
        )
        if stop.submitted_at is not None:  # others need not know of an order without existence
            uow.emit(protective_stop_events.changed(ended, now))

    def _lock(self, uow: UnitOfWork, stop: ProtectiveStop) -> StandingStop:
        OpenTradeRepository(uow.connection).lock_now(stop.trade_id)
        return ProtectiveStopRepository(uow.connection).lock(stop)
