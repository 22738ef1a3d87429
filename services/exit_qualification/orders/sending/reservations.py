"""The end of a claim's transaction: budget for the orders that leave at once, and whether they still may."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.storage.order_budgets import (
    ALL_USED,
    OrderBudgetRepository,
    OrderLimits,
    Unused,
    Wanted,
)
from services.exit_qualification.storage.send_fence import FRESH_S, SendFence
from shared.clock import Clock
from shared.outbox.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Reservation:
    """Orders that an account may be sent.

    Attributes
    ----------
    unused:
        Orders granted and not sent, to hand back if they do not leave in time.
    asked_s:
        Monotonic time of the request for them: they were granted later.
    fresh_until:
        Monotonic time until which they may leave: the budget counts orders within a second.
    asked, cleared:
        Intents of the send fence right after their claim was committed, and those it let pass.
    """

    unused: Unused = ALL_USED
    asked_s: float = math.inf
    fresh_until: float = -math.inf
    asked: frozenset[UUID] = frozenset()
    cleared: frozenset[UUID] = frozenset()

    def covers(self, intents: Collection[ExitIntent], now: float) -> bool:
        """Return whether these intents may leave now without another look."""
        is_asked = self.asked.issuperset(intent.intent_id for intent in intents)
        return is_asked and len(intents) <= self.unused.orders and now < self.fresh_until


NOTHING_RESERVED = Reservation()


def commit_reserving(
    uow: UnitOfWork, limits: OrderLimits, at_once: Mapping[UserBroker, Collection[ExitIntent]], clock: Clock
) -> dict[str, Reservation]:
    """Commit a claim, with the budget of the orders that leave at once; then read the switches, see `SendFence`.

    All of it is in the caller's pipeline. The orders are given as they were before the claim. Return the reservation
    of each account.
    """
    if not at_once:
        uow.commit()
        return {}
    asked_s = clock.monotonic()
    granting = OrderBudgetRepository(uow.connection, limits).ask_all(
        [Wanted(account, len(intents)) for account, intents in at_once.items()]
    )
    claimed = [(intent.intent_id, intent.version + 1) for intents in at_once.values() for intent in intents]
    cleared = uow.commit_then(lambda: SendFence(uow.connection).ask_may_still_be_sent(claimed))
    fresh_until = clock.monotonic() + FRESH_S
    return {
        account.user_broker_id: Reservation(
            Unused(grant.granted, grant.taken_at),
            asked_s,
            fresh_until,
            frozenset(it.intent_id for it in intents),
            cleared,
        )
        for (account, intents), grant in zip(at_once.items(), granting.get(), strict=True)
    }
