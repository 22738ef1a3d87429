"""Writes outcomes from the broker's books to intents, with fills, back-off and events."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from services.exit_qualification import intent_events
from services.exit_qualification.domain.exit_fill import ExitFill
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.intent_state_machine import TERMINAL, UNSENT
from services.exit_qualification.domain.outcome import outcome_of_fills
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.brokers.port import BrokerFill
from services.exit_qualification.orders.log_lines import of_exit
from services.exit_qualification.orders.metrics import OVERFILLED, RESIZED_AT_BROKER
from services.exit_qualification.orders.reconciling.broker_books import Sighting
from services.exit_qualification.orders.reconciling.told_fills import told
from services.exit_qualification.orders.requalifying.locked_exit import LockedExit, other_holders
from services.exit_qualification.orders.terms import POSTPONED, OrderTerms
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_fills import ExitFillRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from shared.clock import trading_day
from shared.contracts.events import Event
from shared.contracts.exits import Fill
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.money import to_price

log = logging.getLogger(__name__)

REJECTED_BY_BROKER = "REJECTED_BY_BROKER"
NEVER_PLACED = "NEVER_PLACED"
DAY_ENDED = "DAY_ENDED"
ORDER_LIMIT = "ORDER_LIMIT"
"""Error code of an exit at its order limit for trade and reason; `storage.residuals` uses it too."""


class OutcomeWriter:
    """Writes outcomes inside the caller's transaction; the trade's and the intent's rows must be locked.

    `limits_reached` holds the reason of every exit at its order limit, for the caller to count after the commit.
    """

    def __init__(self, connection: Connection, user_broker: UserBroker, terms: OrderTerms, now: datetime) -> None:
        self._connection = connection
        self._user_broker = user_broker
        self._terms = terms
        self._now = now
        self._intents = ExitIntentRepository(connection)
        self._fills = ExitFillRepository(connection)
        self.limits_reached: list[ExitReason] = []

    def sighted(self, locked: LockedExit, sighting: Sighting) -> list[Event]:
        """Store the order's fills, and apply the transition they and the order's state require."""
        intent = locked.intent
        new = self._fills.record([exit_fill(intent, self._user_broker, fill) for fill in sighting.fills])
        fills = self._fills.of_intent(intent.intent_id)
        total = max(intent.filled_quantity, sum(fill.quantity for fill in fills))
        slot_free = intent.status not in TERMINAL or not self._same_slot(intent)
        status = outcome_of_fills(
            intent, total, sighting.state, order_quantity=sighting.order.quantity, slot_free=slot_free
        )
        if new and total > intent.quantity:
            OVERFILLED.inc()
            log.critical("order of intent %s filled %d of %d; check the position",
                         intent.intent_id, total, intent.quantity, extra=of_exit(intent))  # fmt: skip
        if intent.status in TERMINAL:
            return self._late(locked, sighting, fills, status) if total > intent.filled_quantity else []
        if sighting.ended_at_quantity is not None and status is IntentStatus.CANCELLED:
            RESIZED_AT_BROKER.labels("lowered").inc()
            log.error("order %s of intent %s was lowered to %d at the broker; the rest exits with a new order",
                      sighting.order_id, intent.intent_id, total, extra=of_exit(intent))  # fmt: skip
        return self._step(intent, sighting, fills, status, most=locked.trade.trade.quantity)

    def never_placed(self, intent: ExitIntent, message: str | None = None) -> list[Event]:
        """Record the absence of an order, as proven by the books or decided by an operator."""
        shown = message or intent.error_message or "the broker's books never showed the order"
        return self._failed(intent, NEVER_PLACED, shown)

    def rejected(self, intent: ExitIntent, message: str) -> list[Event]:
        """Record a rejected order of unknown id."""
        return self._failed(intent, REJECTED_BY_BROKER, message)

    def refused(self, intent: ExitIntent) -> list[Event]:
        """Record a refusal confirmed by the books."""
        return self._failed(intent, intent.error_code or NEVER_PLACED, intent.error_message or "")

    def day_ended(self, intent: ExitIntent) -> list[Event]:
        """Record that an accepted order ended with its day, with its fills; the rest can exit again."""
        fills = self._fills.of_intent(intent.intent_id)
        message = f"order {intent.broker_order_id} was valid for a day and ended with it; check the position"
        log.error("intent %s: %s", intent.intent_id, message, extra=of_exit(intent))
        limit = self._slow_down(intent)
        cancelled = self._intents.mark_cancelled(
            intent,
            reason=CancelReason.BY_BROKER,
            at=self._now,
            error_code=ORDER_LIMIT if limit else DAY_ENDED,
            error_message=limit or message,
            **_filled_so_far(fills),
        )
        return [intent_events.cancelled(cancelled, fills, self._now)]

    def _same_slot(self, intent: ExitIntent) -> list[ExitIntent]:
        return [holder for holder in other_holders(self._connection, intent) if holder.leg == intent.leg]

    def _step(
        self, intent: ExitIntent, sighting: Sighting, fills: list[Fill], status: IntentStatus, most: int
    ) -> list[Event]:
        if status is IntentStatus.FAILED:
            message = sighting.order.status_message or "rejected without a reason"
            return self._failed(intent, REJECTED_BY_BROKER, message, broker_order_id=sighting.order_id)
        placed, events = self._placed(intent, sighting)
        match status:
            case IntentStatus.FILLED:
                events += self._filled(placed, sighting, fills, most)
            case IntentStatus.PARTIALLY_FILLED:
                events += self._partially_filled(placed, sighting, fills)
            case IntentStatus.CANCELLED:
                events += self._cancelled(placed, sighting, fills)
            case _:
                pass  # the order is placed, without fills
        return events

    def _placed(self, intent: ExitIntent, sighting: Sighting) -> tuple[ExitIntent, list[Event]]:
        """Record that the broker has the order if its sender has not.

        The broker accepted it some time after `submitted_at`, the only time known by our clock.
        """
        if intent.placed_at is not None:
            return intent, []
        at = intent.submitted_at or self._now
        if intent.status in (IntentStatus.SUBMITTING, IntentStatus.UNKNOWN):
            placed = self._intents.mark_placed(intent, broker_order_id=sighting.order_id, at=at)
        else:
            placed = self._intents.update(intent, broker_order_id=sighting.order_id, placed_at=at)
        return placed, [intent_events.placed(placed, self._now)]

    def _partially_filled(self, intent: ExitIntent, sighting: Sighting, fills: list[Fill]) -> list[Event]:
        total = sum(fill.quantity for fill in fills)
        if intent.status is IntentStatus.PARTIALLY_FILLED and total <= intent.filled_quantity:
            return []
        partly = self._intents.mark_partially_filled(
            intent,
            broker_order_id=sighting.order_id,
            filled_quantity=total,
            average_price=average_price(fills),
            at=self._now,
        )
        return [intent_events.partially_filled(partly, fills, self._now)]

    def _filled(
        self, intent: ExitIntent, sighting: Sighting, fills: list[Fill], most: int, *, late: bool = False
    ) -> list[Event]:
        """Record a complete fill; tell at most `most` of its shares, those of the trade."""
        if sighting.works_beyond(intent.quantity):
            # The mark makes the reconciler cancel the rest until the order has ended, also after a crash.
            intent = self._intents.update(intent, cancel_requested_at=self._now - POSTPONED)
        filled = self._intents.mark_filled(
            intent, broker_order_id=sighting.order_id, at=self._now, late=late, **_filled_so_far(fills)
        )
        ExitEpisodeRepository(self._connection).filled([filled])
        shown, shares = _within(filled, fills, most)
        late_events: list[Event] = [intent_events.late_fill(shown, shares, self._now)] if late else []
        return [*late_events, intent_events.filled(shown, shares, self._now)]

    def _cancelled(self, intent: ExitIntent, sighting: Sighting, fills: list[Fill]) -> list[Event]:
        ours = intent.cancel_requested_at is not None
        limit = self._slow_down(intent)
        cancelled = self._intents.mark_cancelled(
            intent,
            reason=CancelReason.NOT_FILLED_IN_TIME if ours else CancelReason.BY_BROKER,
            at=self._now,
            broker_order_id=sighting.order_id,
            error_code=ORDER_LIMIT if limit else None,
            error_message=limit,
            **_filled_so_far(fills),
        )
        return [intent_events.cancelled(cancelled, fills, self._now)]

    def _failed(self, intent: ExitIntent, code: str, message: str, **changes: Any) -> list[Event]:
        limit = self._slow_down(intent)
        if limit:
            # This code stops a manual exit from continuing; other exits keep the broker's code.
            code, message = (ORDER_LIMIT if intent.exit_reason is ExitReason.MANUAL else code), f"{message}; {limit}"
        failed = self._intents.mark_failed(intent, code=code, message=message, at=self._now, **changes)
        return [intent_events.failed(failed, self._now)]

    def _slow_down(self, intent: ExitIntent) -> str | None:
        """Delay the next order of an exit that ended with quantity left.

        Return a message for operators if the order limit is reached. A manual exit then stops; every other one
        continues
        at the slowest pace.
        """
        terms = self._terms
        sent = self._intents.count_sent(intent, self._now - terms.order_limit_window)
        beyond = sent >= terms.order_limit
        manual = intent.exit_reason is ExitReason.MANUAL
        if not manual:  # a manual exit has no cooldown: it may be requested again immediately
            first_s, max_s = terms.backoff_first_s, terms.backoff_max_s
            if beyond:
                first_s = max_s = terms.slowest_pace_s
            ExitEpisodeRepository(self._connection).back_off(intent.rule_key, first_s=first_s, max_s=max_s)
        if not beyond:
            return None
        self.limits_reached.append(intent.exit_reason)
        then = "no more are sent until an operator asks again" if manual else f"next after {terms.slowest_pace_s:.0f} s"
        limit = f"{sent} orders in {terms.order_limit_window.total_seconds():.0f} s did not fill the exit: {then}"
        log.error("trade %s, %s: %s", intent.trade_id, intent.exit_reason, limit, extra=of_exit(intent))
        return limit

    def _late(self, locked: LockedExit, sighting: Sighting, fills: list[Fill], status: IntentStatus) -> list[Event]:
        ended = locked.intent
        log.warning("late fills of intent %s, already ended as %s", ended.intent_id, ended.status, extra=of_exit(ended))
        intent, events = self._placed(ended, sighting)
        most = locked.trade.trade.quantity
        if status is not ended.status:
            return [*events, *self._filled(intent, sighting, fills, most, late=True)]
        late = self._intents.update(
            intent, broker_order_id=sighting.order_id, late_filled=True, **_filled_so_far(fills)
        )
        shown, shares = _within(late, fills, most)
        return [*events, intent_events.late_fill(shown, shares, self._now), *self.give_up_empty(locked)]

    def give_up_empty(self, locked: LockedExit) -> list[Event]:
        """Cancel the trade's unsent exit if fills of another exit have left it without quantity.

        An exit with quantity left is sized again when sent; the reconciler handles a sent one.
        """
        trade = locked.trade.trade
        if self._fills.totals_of_trades([trade.trade_id]).get(trade.trade_id, 0) < trade.quantity:
            return []
        empty = [holder for holder in other_holders(self._connection, locked.intent) if holder.status in UNSENT]
        ended = [self._intents.mark_cancelled(it, reason=CancelReason.NOTHING_LEFT, at=self._now) for it in empty]
        return [intent_events.cancelled(it, [], self._now) for it in ended]


def average_price(fills: Sequence[Fill | BrokerFill]) -> Decimal:
    """Return the volume-weighted price of at least one fill, rounded half up to four decimals."""
    value = sum((fill.quantity * fill.price for fill in fills), Decimal())
    return to_price(value / sum(fill.quantity for fill in fills))


def _within(intent: ExitIntent, fills: list[Fill], most: int) -> tuple[ExitIntent, list[Fill]]:
    """Return the intent and its fills up to `most` shares: what was filled beyond is no part of the trade."""
    if intent.filled_quantity <= most:
        return intent, fills
    shares = told(fills, most)
    return msgspec.structs.replace(intent, **_filled_so_far(shares)), shares


def _filled_so_far(fills: list[Fill]) -> dict[str, Any]:
    if not fills:
        return {}
    return {"filled_quantity": sum(fill.quantity for fill in fills), "average_price": average_price(fills)}


def exit_fill(intent: ExitIntent, user_broker: UserBroker, fill: BrokerFill) -> ExitFill:
    """Return the row of an execution of the intent's order."""
    return ExitFill(
        broker=user_broker.broker,
        account=user_broker.account,
        trading_day=trading_day(fill.filled_at),
        exchange=fill.exchange,
        broker_order_id=fill.order_id,
        broker_trade_id=fill.trade_id,
        intent_id=intent.intent_id,
        trade_id=intent.trade_id,
        quantity=fill.quantity,
        price=fill.price,
        filled_at=_not_before_sending(fill.filled_at, intent),
    )


def _not_before_sending(filled_at: datetime, intent: ExitIntent) -> datetime:
    """Return a fill time not before the sending: the broker's times are whole seconds."""
    return filled_at if intent.submitted_at is None else max(filled_at, intent.submitted_at)
