"""Clearances: the right to send some orders now, taken from budget and switches right before the calls to a broker."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.metrics import ORDER_BUDGET_WAITS
from services.exit_qualification.orders.sending.reservations import Reservation
from services.exit_qualification.storage.order_budgets import (
    WINDOW_MARGIN_S,
    Grant,
    OrderBudgetRepository,
    OrderLimits,
    Wanted,
)
from services.exit_qualification.storage.send_fence import FRESH_S, SendFence
from shared.clock import Clock
from shared.errors import Unavailable
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.group_commit import ThreadGroups
from shared.postgres.hot_path import pipelined

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clearance:
    """Right to send, just obtained.

    Attributes
    ----------
    intent_ids:
        Intents not held back by a switch.
    budget, free_at:
        Orders allowed to the account now, and the time of the next one.
    taken_at, asked_s:
        Time of the grant, and the monotonic time of its request.
    refusal:
        Why no intent may be sent; None if some may.
    fresh_until:
        Monotonic time of its end.
    """

    intent_ids: frozenset[UUID] = frozenset()
    budget: int = 0
    free_at: datetime | None = None
    taken_at: datetime | None = None
    asked_s: float = math.inf
    refusal: str | None = None
    fresh_until: float = math.inf


@dataclass(frozen=True, slots=True)
class _Request:
    """Intents to be sent, and the budget wanted for them; None if it is reserved."""

    wanted: Wanted | None
    intents: Sequence[ExitIntent]


class Clearances:
    """Obtains clearances; requests of several senders at the same time share a transaction. Thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], limits: OrderLimits, clock: Clock) -> None:
        self._open_unit = open_unit
        self._limits = limits
        self._clock = clock
        self._groups = ThreadGroups(self._obtain_all)

    def obtain(
        self, account: UserBroker, intents: Sequence[ExitIntent], deadline: float, reserved: Reservation
    ) -> Clearance:
        """Take the account's budget and read the switches: the last statements before the calls, see `SendFence`.

        Parameters
        ----------
        reserved:
            Budget that is used if it covers the intents. Else it is handed back with the request for more: it counts
            from then on, because its orders leave later than it was given.
        """
        if not intents:
            return Clearance()
        asked_s = self._clock.monotonic()
        is_covered = reserved.covers(len(intents), asked_s)
        wanted = None if is_covered else Wanted(account, len(intents), reserved.unused)
        try:
            ((grant, cleared, fresh_until),) = self._groups.answers([_Request(wanted, intents)])
        except (SQLAlchemyError, Unavailable) as error:
            return Clearance(refusal=f"the switches could not be read before sending: {type(error).__name__}")
        if self._clock.monotonic() >= deadline:
            return Clearance(refusal="the claim expired before the call")
        if grant is None:
            until = min(fresh_until, reserved.fresh_until)
            return Clearance(
                cleared, reserved.orders, taken_at=reserved.taken_at, asked_s=reserved.asked_s, fresh_until=until
            )
        if grant.granted < len(intents):
            ORDER_BUDGET_WAITS.labels(grant.limited_by or "second").inc(len(intents) - grant.granted)
        return Clearance(cleared, grant.granted, grant.free_at, grant.taken_at, asked_s, fresh_until=fresh_until)

    def count_late(self, account: UserBroker, orders: int, clearance: Clearance) -> None:
        """Let orders count from now if their answers came late: the broker may have taken them only now."""
        is_late = self._clock.monotonic() - clearance.asked_s > WINDOW_MARGIN_S
        if not (orders and is_late and clearance.taken_at):
            return
        try:
            with self._open_unit() as uow:
                budgets = OrderBudgetRepository(uow.connection, self._limits)
                budgets.count_from_now(account, orders, clearance.taken_at)
                uow.commit()
        except (SQLAlchemyError, Unavailable) as error:
            log.warning("late orders of account %s count from their grant: %s", account.user_broker_id, error)

    def _obtain_all(self, requests: Sequence[_Request]) -> list[tuple[Grant | None, frozenset[UUID], float]]:
        wanted = [each.wanted for each in requests if each.wanted is not None]
        intents = [intent for each in requests for intent in each.intents]
        with self._open_unit() as uow:
            with pipelined(uow.connection):
                grants = OrderBudgetRepository(uow.connection, self._limits).ask_all(wanted) if wanted else None
                cleared = SendFence(uow.connection).ask_may_still_be_sent(intents)
            if grants is not None:
                uow.commit()
            fresh_until, may_be_sent = self._clock.monotonic() + FRESH_S, cleared.get()
            given = iter(grants.get() if grants is not None else ())
            return [(None if each.wanted is None else next(given), may_be_sent, fresh_until) for each in requests]
