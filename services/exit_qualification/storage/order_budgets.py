"""Order budget of broker accounts: how many orders each may be sent, over all processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from services.exit_qualification.domain.switches import UserBroker
from shared.postgres.hot_path import Answer, ask

TAKE = text("""
-- order_budgets.take: locks the accounts' rows: no two processes are granted the same order; in one order: none waits
-- for the other
SELECT w.nth, g.granted, g.limited_by, nullif(g.free_at, '-infinity'), g.taken_at
  FROM (SELECT * FROM unnest(CAST(:brokers AS text[]), CAST(:accounts AS text[]), CAST(:wanted AS integer[]),
                             CAST(:unused AS integer[]), CAST(:unused_at AS timestamptz[]))
                      WITH ORDINALITY AS u (broker, account, wanted, unused, unused_at, nth)
         ORDER BY broker, account, nth) AS w
 CROSS JOIN LATERAL take_order_budget(w.broker, w.account, w.wanted, :per_second, :per_minute, :per_day,
                                      w.unused, w.unused_at) AS g
""")
COUNT_FROM_NOW = text("""
-- order_budgets.count_from_now: orders of one grant, still counted from its time
UPDATE order_budgets b
   SET taken_at = ARRAY(
         SELECT CASE WHEN each.t = :taken_at AND each.nth <= :orders THEN clock_timestamp() ELSE each.t END
           FROM (SELECT t, row_number() OVER (PARTITION BY t) AS nth FROM unnest(b.taken_at) AS t) AS each
          ORDER BY 1)
 WHERE b.broker = :broker AND b.account = :account
""")
NOTE_WAITING = text("""
-- order_budgets.note_waiting: exits waiting for their account's budget say so
UPDATE exit_intents
   SET error_code = :code, error_message = w.message, version = version + 1
  FROM (SELECT i.intent_id,
               'the account has used up its orders; the next may be sent at '
               || to_char(bu.free_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS message
          FROM exit_intents i
          JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
          JOIN order_budgets bu ON bu.broker = b.broker AND bu.account = b.account
         WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL AND i.error_code IS NULL
           AND bu.free_at > clock_timestamp() AND i.created_at < clock_timestamp() - make_interval(secs => :after_s)
         ORDER BY i.intent_id
         LIMIT :limit
           FOR UPDATE OF i SKIP LOCKED) AS w
 WHERE exit_intents.intent_id = w.intent_id
""")
WAITING = text("""
-- order_budgets.waiting: approved exits of accounts without orders left
SELECT count(*) FROM exit_intents i
  JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
  JOIN order_budgets bu ON bu.broker = b.broker AND bu.account = b.account
 WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL AND bu.free_at > clock_timestamp()
""")

ORDER_BUDGET = "ORDER_BUDGET"
"""Error code of an intent waiting because its account has used up its orders."""

WINDOW_MARGIN_S = 0.1
"""The windows of `take_order_budget` are so much wider than a second and a minute: an order follows its grant."""

SHOWN_AFTER_S = 1.0
"""Age from which a waiting exit shows the budget as its reason; most are sent before."""

LIMIT = 1000
"""Maximum intents noted in one pass."""


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """Orders taken by the broker from one account in a second, a minute and a day."""

    per_second: int = 10
    per_minute: int = 400
    per_day: int = 5000


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer to a request for orders.

    Attributes
    ----------
    granted:
        Orders allowed now.
    limited_by:
        ``second``, ``minute`` or ``day`` if a limit is used up now.
    free_at:
        When the next order may be sent.
    taken_at:
        Time of the grant by the database's clock.
    """

    granted: int
    limited_by: str | None
    free_at: datetime | None
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Unused:
    """Unsent orders of one grant; they are handed back with the next request of their account."""

    orders: int = 0
    taken_at: datetime | None = None


ALL_USED: Final = Unused()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Request for orders of an account."""

    account: UserBroker
    orders: int
    unused: Unused = ALL_USED


class OrderBudgetRepository:
    """Budgets within one transaction; a granted budget is used up by its commit."""

    def __init__(self, connection: Connection, limits: OrderLimits) -> None:
        self._connection = connection
        self._limits = limits

    def take(self, account: UserBroker, wanted: int) -> Grant:
        """Take the account's budget for as many of the orders as its limits allow."""
        return self.ask_all([Wanted(account, wanted)]).get()[0]

    def ask_all(self, wanted: Sequence[Wanted]) -> Answer[list[Grant]]:
        """Ask for the grants of many requests, in their order; an account may have several."""
        parameters = {
            "brokers": [each.account.broker for each in wanted],
            "accounts": [each.account.account for each in wanted],
            "wanted": [each.orders for each in wanted],
            "unused": [each.unused.orders for each in wanted],
            "unused_at": [each.unused.taken_at for each in wanted],
            "per_second": self._limits.per_second,
            "per_minute": self._limits.per_minute,
            "per_day": self._limits.per_day,
        }
        return ask(self._connection, TAKE, parameters, _grants)

    def count_from_now(self, account: UserBroker, orders: int, taken_at: datetime) -> None:
        """Let so many orders granted at `taken_at` count from now, because the broker may have taken them only now."""
        wanted = {"broker": account.broker, "account": account.account, "orders": orders, "taken_at": taken_at}
        self._connection.execute(COUNT_FROM_NOW, wanted)

    def note_waiting(self) -> None:
        """Let exits waiting for their account's budget show it as their error."""
        self._connection.execute(NOTE_WAITING, {"code": ORDER_BUDGET, "after_s": SHOWN_AFTER_S, "limit": LIMIT})

    def waiting(self) -> int:
        """Return the number of exits waiting for their account's budget."""
        return int(self._connection.execute(WAITING).scalar_one())


def _grants(rows: Sequence[tuple[int, int, str | None, datetime | None, datetime]]) -> list[Grant]:
    return [Grant(granted, limited_by, free_at, taken_at) for _, granted, limited_by, free_at, taken_at in sorted(rows)]
