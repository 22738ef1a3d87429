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


EXPIRED = Clearance(refusal="the claim expired before the call")

_Request = tuple[Wanted, Sequence[ExitIntent]]
"""The budget wanted for orders, and their intents."""


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
            The claim's, used if it covers the intents. Else its budget is handed back with the request for more: it
            counts from then on, because its orders leave later than it was given.
        """
        if not intents:
            return Clearance()
        asked_s = self._clock.monotonic()
        if reserved.covers(intents, asked_s):
            clearance = _cleared_with_claim(reserved)
        else:
            clearance = self._obtain(Wanted(account, len(intents), reserved.unused), intents, asked_s)
        return EXPIRED if self._clock.monotonic() >= deadline else clearance

    def _obtain(self, wanted: Wanted, intents: Sequence[ExitIntent], asked_s: float) -> Clearance:
        try:
            ((grant, cleared, fresh_until),) = self._groups.answers([(wanted, intents)])
        except (SQLAlchemyError, Unavailable) as error:
            return Clearance(refusal=f"the switches could not be read before sending: {type(error).__name__}")
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

    def _obtain_all(self, requests: Sequence[_Request]) -> list[tuple[Grant, frozenset[UUID], float]]:
        intents = [(intent.intent_id, intent.version) for _, of_request in requests for intent in of_request]
        with self._open_unit() as uow:
            with pipelined(uow.connection):
                granting = OrderBudgetRepository(uow.connection, self._limits).ask_all([each for each, _ in requests])
                clearing = SendFence(uow.connection).ask_may_still_be_sent(intents)
            uow.commit()
            fresh_until, cleared = self._clock.monotonic() + FRESH_S, clearing.get()
            return [(grant, cleared, fresh_until) for grant in granting.get()]


def _cleared_with_claim(reserved: Reservation) -> Clearance:
    return Clearance(
        reserved.cleared,
        reserved.unused.orders,
        taken_at=reserved.unused.taken_at,
        asked_s=reserved.asked_s,
        fresh_until=reserved.fresh_until,
    )
