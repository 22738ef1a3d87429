"""Clearances: the right to send some orders now, taken from budget and switches right before the calls to a broker."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.orders.metrics import ORDER_BUDGET_WAITS
from services.exit_qualification.storage.order_budgets import (
    Grant,
    OrderBudgetRepository,
    OrderLimits,
    Unused,
    Wanted,
)
from services.exit_qualification.storage.send_fence import FRESH_S, SendFence
from shared.clock import Clock
from shared.errors import Unavailable
from shared.outbox.unit_of_work import UnitOfWork
from shared.postgres.group_commit import ThreadGroups
from shared.postgres.hot_path import pipelined


@dataclass(frozen=True, slots=True)
class Clearance:
    """Right to send, just obtained.

    Attributes
    ----------
    intent_ids:
        Intents not held back by a switch.
    budget, free_at:
        Orders allowed to the account now, and the time of the next one.
    taken_at:
        Time of the grant.
    refusal:
        Why no intent may be sent; None if some may.
    fresh_until:
        Monotonic time of its end.
    """

    intent_ids: frozenset[UUID] = frozenset()
    budget: int = 0
    free_at: datetime | None = None
    taken_at: datetime | None = None
    refusal: str | None = None
    fresh_until: float = math.inf


@dataclass(frozen=True, slots=True)
class _Request:
    wanted: Wanted
    intents: Sequence[ExitIntent]


class Clearances:
    """Obtains clearances; requests of several senders at the same time share a transaction. Thread-safe."""

    def __init__(self, open_unit: Callable[[], UnitOfWork], limits: OrderLimits, clock: Clock) -> None:
        self._open_unit = open_unit
        self._limits = limits
        self._clock = clock
        self._groups = ThreadGroups(self._obtain_all)

    def obtain(self, account: UserBroker, intents: Sequence[ExitIntent], deadline: float, unused: Unused) -> Clearance:
        """Take the account's budget and read the switches: the last statements before the calls, see `SendFence`.

        Parameters
        ----------
        unused:
            The rest of the last clearance. It counts from now on, because its orders leave later than it was given.
        """
        if not intents:
            return Clearance()
        try:
            request = _Request(Wanted(account, len(intents), unused), intents)
            ((grant, cleared, fresh_until),) = self._groups.answers([request])
        except (SQLAlchemyError, Unavailable) as error:
            return Clearance(refusal=f"the switches could not be read before sending: {type(error).__name__}")
        if grant.granted < len(intents):
            ORDER_BUDGET_WAITS.labels(grant.limited_by or "second").inc(len(intents) - grant.granted)
        if self._clock.monotonic() >= deadline:
            return Clearance(refusal="the claim expired before the call")
        return Clearance(cleared, grant.granted, grant.free_at, grant.taken_at, fresh_until=fresh_until)

    def _obtain_all(self, requests: Sequence[_Request]) -> list[tuple[Grant, frozenset[UUID], float]]:
        with self._open_unit() as uow:
            with pipelined(uow.connection):
                budgets = OrderBudgetRepository(uow.connection, self._limits)
                grants = budgets.ask_all([each.wanted for each in requests])
                intents = [intent for each in requests for intent in each.intents]
                cleared = SendFence(uow.connection).ask_may_still_be_sent(intents)
            uow.commit()
            fresh_until, may_be_sent = self._clock.monotonic() + FRESH_S, cleared.get()
            return [(grant, may_be_sent, fresh_until) for grant in grants.get()]
