"""Exits of triggered stops: the order held by the broker becomes the order of an exit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from services.exit_qualification import intent_events
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.domain.intent_state_machine import UNSENT
from services.exit_qualification.domain.level_index import RuleKey
from services.exit_qualification.domain.protective_stop import ProtectiveStop
from services.exit_qualification.orders.metrics import OVERFILLED
from services.exit_qualification.orders.reconciling.broker_signals import broker_signal
from services.exit_qualification.orders.reconciling.stop_exits import stop_exit
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.exit_intents import ExitIntentRepository
from services.exit_qualification.storage.intent_batches import IntentBatches
from shared.contracts.vocabulary import ExitReason, IntentStatus
from shared.outbox.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)


def take_over(uow: UnitOfWork, stop: ProtectiveStop, remaining: int, now: datetime) -> ExitIntent | None:
    """Write the exit with the stop's order, as PLACED; the reconciler records its fills as of any other exit.

    An unsent exit of the trade is withdrawn. The rows of the trade and the stop must be locked, and the
    stop must have ended, or the database refuses a second order. Return None if nothing of the trade is left, or if
    another exit has its slot: its fills are late ones then (`late_stop_fills`).

    Raises
    ------
    RowHeld
        The trade's last episode began at this instant of the database's clock; try again.
    """
    intents = ExitIntentRepository(uow.connection)
    holders = [it for it in intents.find_slot_holders([stop.trade_id]) if it.user_broker_id == stop.user_broker_id]
    _withdraw(uow, [holder for holder in holders if holder.status in UNSENT], now)
    quantity = min(stop.quantity, remaining)
    if quantity <= 0 or any(it.leg is None and it.status not in UNSENT for it in holders):
        OVERFILLED.inc()
        log.critical("protective stop %s of trade %s was triggered when nothing of the trade was left for it; check "
                     "the position", stop.stop_id, stop.trade_id)  # fmt: skip
        return None
    # A cooldown of the rule does not count, because the broker has decided.
    ExitEpisodeRepository(uow.connection).release([RuleKey(stop.trade_id, ExitReason.STOP_LOSS)])
    signal = broker_signal(uow, stop, ExitReason.STOP_LOSS, now)
    intent = stop_exit(stop, signal, IntentStatus.APPROVED, quantity, now)
    intents.insert([intent], [signal])
    uow.emit(intent_events.signal_published(signal), intent_events.approved(intent, now))
    sent = intents.mark_submitting(intent, at=stop.submitted_at or now, claimed_until=now)
    placed = intents.mark_placed(sent, broker_order_id=stop.broker_order_id or "", at=now)
    uow.emit(intent_events.placed(placed, now))
    return placed


def _withdraw(uow: UnitOfWork, unsent: Sequence[ExitIntent], now: datetime) -> None:
    for ended in IntentBatches(uow.connection).cancel(unsent, CancelReason.SUPERSEDED, at=now):
        uow.emit(intent_events.cancelled(ended, [], now))
