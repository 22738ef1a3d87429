"""Accounts losing more than their limit: entries are held, open trades exit with reason ACCOUNT_LOSS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from services.exit_qualification.control_events import user_broker_changed
from services.exit_qualification.domain.account_loss import LossLimit
from services.exit_qualification.domain.candidates import ExitCandidates
from services.exit_qualification.orders.metrics import (
    ACCOUNT_LOSS,
    ACCOUNT_LOSS_LIMIT,
    ACCOUNT_LOSSES_REACHED,
    ACCOUNT_UNPRICED_TRADES,
)
from services.exit_qualification.orders.rest import Rest
from services.exit_qualification.signal_management_service import SignalManagementService
from services.exit_qualification.storage.account_losses import AccountLossRepository, Watched
from services.exit_qualification.storage.open_trades import OpenTradeRepository
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.exit_qualification.storage.order_queues import OrderQueues
from shared.clock import Clock
from shared.contracts.vocabulary import ExitReason, LossBasis
from shared.instants import epoch_us
from shared.money import money_text
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.audit import Act

log = logging.getLogger(__name__)

ACTOR: Final = "exit-orders"
AT_ONCE: Final = 250
"""Exits of one transaction, as exit-ticks writes a burst."""
_LOWEST_ID: Final = UUID(int=0)


class AccountLosses:
    """Judges every account with a limit whenever something changed, and flattens the held ones. Not thread-safe.

    The hold is a row, and flattening starts from it: after a crash, or for a trade opened meanwhile, the next
    look goes on. Several copies may run; the copy with the lock of a limit judges it.
    """

    def __init__(
        self, open_unit: Callable[[], UnitOfWork], signals: SignalManagementService, clock: Clock, rest: Rest
    ) -> None:
        self._open_unit = open_unit
        self._signals = signals
        self._clock = clock
        self._seen: Watched | None = None
        self._rest = rest

    def look_once(self) -> bool:
        """Judge the accounts if prices, trades or limits changed; exit open trades of held accounts; return False."""
        with self._open_unit() as uow:
            watched = AccountLossRepository(uow.connection).watched()
        is_held = watched.any_held
        if not watched.accounts:
            _show([], {})
        elif watched != self._seen and self._rest.is_over():
            began_s = self._clock.monotonic()
            judged = self._judge(watched.today)
            is_held |= any(limit.is_reached for limit in judged)
            # Another copy with a lock on a limit may yet fail.
            self._seen = watched if len(judged) == watched.accounts else None
            self._rest.begin(began_s)
        if is_held:
            self._flatten()
        return False

    def _judge(self, today: date) -> list[LossLimit]:
        """Judge and return every limit free of other copies, and hold the accounts at their limit."""
        with self._open_unit() as uow:
            losses = AccountLossRepository(uow.connection)
            limits = losses.lock_free()
            pnl = losses.pnl([limit.user_broker_id for limit in limits], today)
            judged = [limit.judged(today, pnl[limit.user_broker_id]) for limit in limits]
            losses.save(judged)
            unpriced = {name: found.unpriced_carried for name, found in pnl.items()}
            reached = [limit for limit in judged if limit.is_reached and self._hold(uow, limit)]
            uow.commit()
        _show(judged, unpriced)
        for limit in reached:
            ACCOUNT_LOSSES_REACHED.labels(limit.user_broker_id).inc()
            log.error("account %s: %s; its entries are held, its trades exit", limit.user_broker_id, _why(limit))
        return judged

    def _hold(self, uow: UnitOfWork, limit: LossLimit) -> bool:
        """Hold the entries of an account and say so; return False if they are held already."""
        switches = SwitchRepository(uow.connection)
        why = _why(limit)
        if not switches.hold_entries(limit.user_broker_id, why, Act(ACTOR, why), limit.facts()):
            return False
        uow.emit(user_broker_changed(switches.broker(limit.user_broker_id), OrderQueues(uow.connection).now()))
        return True

    def _flatten(self) -> None:
        """Exit every open trade of held accounts, page by page; one locked by another transaction comes next time."""
        after: UUID | None = _LOWEST_ID
        while after is not None:
            after = self._flatten_page(after)

    def _flatten_page(self, after: UUID) -> UUID | None:
        with self._open_unit() as uow:
            page = AccountLossRepository(uow.connection).to_flatten(after, AT_ONCE)
            free, _ = OpenTradeRepository(uow.connection).lock_free(page)
            at_us = epoch_us(self._clock.now())
            switches = SwitchRepository(uow.connection).read()
            trades = [known.trade for known in free.values() if switches.entries_held(known.trade.user_broker_id)]
            detected = [ExitCandidates.asked_for(trade, ExitReason.ACCOUNT_LOSS, at_us) for trade in trades]
            self._signals.on_exits_detected(uow, detected, switches, free)
            uow.commit()
        return page[-1] if len(page) == AT_ONCE else None


def _why(limit: LossLimit) -> str:
    assert limit.limit is not None, "only an account with a limit is held"
    since = "the start of the day" if limit.basis is LossBasis.START_OF_DAY else "the day's peak"
    return f"lost {money_text(limit.loss)} since {since}, its limit is {money_text(limit.limit)}"


def _show(limits: Sequence[LossLimit], unpriced: Mapping[str, int]) -> None:
    for metric in (ACCOUNT_LOSS, ACCOUNT_LOSS_LIMIT, ACCOUNT_UNPRICED_TRADES):
        metric.clear()
    for limit in limits:
        ACCOUNT_LOSS.labels(limit.user_broker_id).set(float(limit.loss))
        ACCOUNT_LOSS_LIMIT.labels(limit.user_broker_id).set(float(limit.limit or 0))
        ACCOUNT_UNPRICED_TRADES.labels(limit.user_broker_id).set(unpriced[limit.user_broker_id])
