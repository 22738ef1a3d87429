"""Budget taken together with a claim, so that orders that leave at once need no transaction of their own for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from services.exit_qualification.domain.switches import UserBroker
from services.exit_qualification.storage.order_budgets import Grant, OrderBudgetRepository, OrderLimits, Unused, Wanted
from services.exit_qualification.storage.send_fence import FRESH_S
from shared.clock import Clock
from shared.postgres.hot_path import Answer


@dataclass(frozen=True, slots=True)
class Reservation:
    """Orders that an account may be sent.

    Attributes
    ----------
    taken_at:
        Time of the grant by the database's clock.
    asked_s:
        Monotonic time of its request: it was granted later.
    fresh_until:
        Monotonic time until which they may leave: the budget counts orders within a second. Later they can only be
        handed back.
    """

    orders: int = 0
    taken_at: datetime | None = None
    asked_s: float = math.inf
    fresh_until: float = -math.inf

    @property
    def unused(self) -> Unused:
        """Return the orders to hand back."""
        return Unused(self.orders, self.taken_at)

    def covers(self, orders: int, now: float) -> bool:
        """Return whether so many orders may leave now."""
        return orders <= self.orders and now < self.fresh_until


NOTHING_RESERVED = Reservation()


@dataclass(frozen=True, slots=True)
class AskedReservations:
    """Reservations asked for in a transaction; they stand once it is committed."""

    accounts: tuple[str, ...]
    grants: Answer[list[Grant]] | None
    asked_s: float

    def get(self, clock: Clock) -> dict[str, Reservation]:
        """Return the reservation of each account, right after the commit."""
        fresh_until, grants = clock.monotonic() + FRESH_S, self.grants.get() if self.grants else []
        return {
            account: Reservation(grant.granted, grant.taken_at, self.asked_s, fresh_until)
            for account, grant in zip(self.accounts, grants, strict=True)
        }


def ask_reservations(
    connection: Connection, limits: OrderLimits, wanted: Mapping[UserBroker, int], clock: Clock
) -> AskedReservations:
    """Take so many orders of each account's budget with the transaction."""
    asked_s = clock.monotonic()
    asked = [Wanted(account, orders) for account, orders in wanted.items()]
    grants = OrderBudgetRepository(connection, limits).ask_all(asked) if asked else None
    return AskedReservations(tuple(account.user_broker_id for account in wanted), grants, asked_s)
