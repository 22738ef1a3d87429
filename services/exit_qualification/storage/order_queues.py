"""Queues of the order process: intents to send, to look up at the broker, or to qualify again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.gates.registry import deferred_sql, unsent_sql
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.storage.book_days import books_began
from services.exit_qualification.storage.intent_rows import COLUMNS, to_intents
from services.exit_qualification.storage.market_facts import GATE_ROWS, GATE_ROWS_OF_MANY
from services.exit_qualification.storage.trade_holds import IS_HELD
from services.exit_qualification.storage.unsent_exits import IS_DARK, IS_OUT_OF_TIME, MOVABLE
from shared.contracts.vocabulary import ExitReason
from shared.instants import EPOCH
from shared.outbox.hold import NOT_HELD
from shared.postgres.hot_path import Answer, ask, fetch

_BUT_FOR_STOPS = f"""
  FROM exit_intents i
  JOIN open_trades t ON t.trade_id = i.trade_id
{GATE_ROWS}
  LEFT JOIN order_budgets bu ON bu.broker = b.broker AND bu.account = b.account
 WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL
   AND coalesce(i.expires_at > clock_timestamp(), true)
   AND NOT {unsent_sql()}
   AND NOT {IS_HELD}
   AND {NOT_HELD}
"""
_STOP_AT_BROKER = """
EXISTS (SELECT FROM protective_stops ps
         WHERE ps.trade_id = i.trade_id AND ps.ended_at IS NULL AND ps.status <> 'WANTED')"""
IS_ASKED_FOR = """
(CAST(:asked AS uuid[]) IS NULL OR i.intent_id IN (SELECT unnest(CAST(:asked AS uuid[]))))"""
"""The exit may be executed: trade management has asked for it, or need not ask."""
_APPROVED = f"""
{_BUT_FOR_STOPS}
   AND {IS_ASKED_FOR}
   AND NOT {_STOP_AT_BROKER}
"""
_MAY_BE_SENT = f"""
{_APPROVED}
   AND coalesce(i.claimed_until <= clock_timestamp(), true)
   AND coalesce(bu.free_at <= clock_timestamp(), true)
"""
_BUSY = """
busy AS MATERIALIZED (
  SELECT s.user_broker_id FROM exit_intents s
   WHERE s.status = 'SUBMITTING' AND s.deleted_at IS NULL
   GROUP BY s.user_broker_id HAVING count(*) >= :in_flight)
"""
NEXT_DUE = text(f"""
-- exit_intents.next_due: seconds until the first approved exit may be sent
WITH {_BUSY}
SELECT extract(epoch FROM min(greatest(i.claimed_until, bu.free_at, i.created_at)) - clock_timestamp())::float8
  {_APPROVED}
   AND i.user_broker_id NOT IN (SELECT user_broker_id FROM busy)
""")  # noqa: S608  # the conditions of our own gates
_ANY_APPROVED = f"""
exit_intents i WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL AND {IS_ASKED_FOR}"""
FIND_PENDING_APPROVED = text(f"""
-- exit_intents.find_pending_approved: the first exits of each account, the account with the first exit of all first,
-- then more of each. No row is waited for: a held one stops no other exit. An account with its most orders on their
-- way waits: a silent one holds up no other
WITH {_BUSY},
approved AS MATERIALIZED (
  SELECT i.intent_id, i.user_broker_id, i.created_at,
         array_position(CAST(:ranks AS text[]), i.exit_reason) AS rank {_MAY_BE_SENT}
     AND i.user_broker_id NOT IN (SELECT user_broker_id FROM busy)),
ranked AS MATERIALIZED (
  SELECT intent_id, user_broker_id, row_number() OVER of_account AS nth,
         first_value(rank) OVER of_account AS best, first_value(created_at) OVER of_account AS since
    FROM approved
  WINDOW of_account AS (PARTITION BY user_broker_id ORDER BY rank, created_at, intent_id))
SELECT i.intent_id, i.trade_id, i.user_broker_id, i.symbol, i.leg IS NOT NULL,
       (SELECT count(*) FROM {_ANY_APPROVED})
  FROM ranked r
  JOIN exit_intents i ON i.intent_id = r.intent_id
  JOIN open_trades t ON t.trade_id = i.trade_id
 WHERE i.status = 'APPROVED' AND coalesce(i.claimed_until <= clock_timestamp(), true)
 ORDER BY (r.nth - 1) / CAST(:of_account AS integer), r.best, r.since, r.user_broker_id, r.nth
 LIMIT :limit
   FOR UPDATE OF t, i SKIP LOCKED
""")  # noqa: S608  # the conditions of our own gates
HELD_BY_STOPS = text(f"""
-- exit_intents.held_by_stops: trades with an exit ready to be sent but for the stop at the broker
SELECT DISTINCT i.trade_id {_BUT_FOR_STOPS}
   AND {IS_ASKED_FOR}
   AND (CAST(:trade_id AS uuid) IS NULL OR i.trade_id = :trade_id)
   AND coalesce(i.claimed_until <= clock_timestamp(), true)
   AND {_STOP_AT_BROKER}
""")  # the conditions of our own gates
NOT_ASKED_FOR = text(f"""
-- exit_intents.not_asked_for: ready to be sent, but for a request of trade management
SELECT i.intent_id, i.trade_id {_BUT_FOR_STOPS}
   AND NOT {IS_ASKED_FOR}
   AND coalesce(i.claimed_until <= clock_timestamp(), true)
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # the conditions of our own gates
LAPSE_CLAIMS = text("""
-- exit_intents.lapse_claims: whoever was sending these is late or dead
UPDATE exit_intents SET status = 'UNKNOWN', absent_since = NULL, version = version + 1
 WHERE intent_id IN (
   SELECT intent_id FROM exit_intents
    WHERE status = 'SUBMITTING' AND claimed_until <= clock_timestamp() AND deleted_at IS NULL
    ORDER BY intent_id
    LIMIT :limit
      FOR UPDATE SKIP LOCKED)
""")
AT_BROKER = text(f"""
-- exit_intents.at_broker: an order being sent is left to its sender for a while
SELECT {COLUMNS} FROM exit_intents i
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED') AND i.deleted_at IS NULL
   AND (i.status <> 'SUBMITTING' OR i.submitted_at <= clock_timestamp() - CAST(:answer_wait AS interval))
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
BEYOND_REMAINDER = text(f"""
-- exit_intents.beyond_remainder: an order is at the broker for more than the trade's fills and earlier orders leave
SELECT {COLUMNS} FROM exit_intents i
  JOIN open_trades t ON t.trade_id = i.trade_id
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED') AND i.deleted_at IS NULL
   AND i.user_broker_id = ANY (CAST(:user_broker_ids AS text[]))
   AND i.quantity - i.filled_quantity
       > t.quantity - (SELECT coalesce(sum(f.quantity), 0) FROM exit_fills f WHERE f.trade_id = i.trade_id)
                    - (SELECT coalesce(sum(o.quantity - o.filled_quantity), 0) FROM exit_intents o
                        WHERE o.trade_id = i.trade_id AND o.intent_id < i.intent_id AND o.deleted_at IS NULL
                          AND o.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED'))
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
_OF_TODAY = f"""
SELECT {COLUMNS} FROM exit_intents i
  JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
  JOIN unnest(CAST(:brokers AS text[]), CAST(:begins AS interval[])) AS day (broker, begins) ON day.broker = b.broker
 WHERE i.deleted_at IS NULL
   AND i.submitted_at >= {books_began("day.begins")}
   AND i.ended_at >= clock_timestamp() - CAST(:within AS interval)
"""  # noqa: S608  # the columns of our own mapping
ENDED_TODAY = text(f"""
-- exit_intents.ended_today: sent since the books of their broker began, and ended short: fills may still come; or
-- filled by an order meant to be cancelled, because it went on
SELECT * FROM (
  {_OF_TODAY} AND i.status IN ('CANCELLED', 'FAILED')
  UNION ALL
  {_OF_TODAY} AND i.status = 'FILLED' AND i.cancel_requested_at IS NOT NULL) AS ended
 ORDER BY ended_at DESC
 LIMIT :limit
""")  # noqa: S608  # the conditions above
FILLS_TODAY = text("""
-- exit_fills.today: how many each account has
SELECT b.user_broker_id, today.fills
  FROM user_brokers b
 CROSS JOIN LATERAL (SELECT count(*) AS fills FROM exit_fills f
                      WHERE f.broker = b.broker AND f.account = b.account AND f.trading_day = CAST(:day AS date)
                    ) AS today
 WHERE today.fills > 0
""")
FILLED_BEHIND = text(f"""
-- exit_intents.filled_behind: filled exits with an order filled further at the broker, or at work there
SELECT {COLUMNS}
  FROM unnest(CAST(:order_ids AS text[]), CAST(:filled AS bigint[]), CAST(:working AS boolean[]))
       AS o (order_id, filled, is_working)
  JOIN exit_intents i ON i.broker_order_id = o.order_id
 WHERE i.user_broker_id = :user_broker_id AND i.status = 'FILLED' AND i.deleted_at IS NULL
   AND (o.filled > i.filled_quantity OR o.is_working)
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
ANY_UNSENT = "EXISTS (SELECT FROM exit_intents WHERE status IN ('PENDING', 'APPROVED') AND deleted_at IS NULL)"
"""There is an unsent exit."""
ANYTHING_APPROVED = text(f"""
-- exit_intents.anything_approved
SELECT EXISTS (SELECT FROM {_ANY_APPROVED})
""")  # noqa: S608  # the condition above
_IS_IN_TIME = "coalesce(i.expires_at > statement_timestamp(), true)"
TO_REQUALIFY = text(f"""
-- exit_intents.to_requalify: unsent, and either out of time, with open gates, or dark with its cooldown over; those
-- held by kill switch or account are not even read
WITH {MOVABLE},
due AS MATERIALIZED (
  SELECT i.intent_id FROM exit_intents i WHERE {IS_OUT_OF_TIME}
  UNION ALL
  SELECT i.intent_id FROM movable i
  {GATE_ROWS_OF_MANY}
   WHERE i.status = 'PENDING' AND {_IS_IN_TIME} AND NOT {deferred_sql()}
  UNION ALL
  SELECT i.intent_id FROM exit_intents i
   WHERE {IS_DARK}
     AND EXISTS (SELECT FROM exit_episodes e
                  WHERE e.trade_id = i.trade_id AND e.exit_reason = exit_slot(i.exit_reason, i.leg)
                    AND (e.last_episode_id > i.episode_id OR e.cooldown_until <= clock_timestamp())))
SELECT {COLUMNS} FROM due
 CROSS JOIN LATERAL (SELECT * FROM exit_intents WHERE intent_id = due.intent_id OFFSET 0) AS i
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
HELD = text(f"""
-- exit_intents.held: waiting, and a gate would defer them again
SELECT {COLUMNS} FROM exit_intents i
{GATE_ROWS_OF_MANY}
 WHERE i.status = 'PENDING' AND i.executable AND i.deleted_at IS NULL AND {_IS_IN_TIME} AND {deferred_sql()}
   AND (i.created_at, i.intent_id) > (:created_at, :intent_id)
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
LAST_PRICES = text("""
-- tick_symbols.last_prices
SELECT symbol, last_price, last_ts FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[]))
""")
NOW = text("SELECT clock_timestamp()")

Asked = Collection[UUID] | None
"""Exits that trade management has asked for; None: it need not ask."""


LIMIT = 5000
"""Maximum rows per query; the rest follows once these have advanced."""


@dataclass(frozen=True, slots=True)
class PendingApproved:
    """Approved intent with its trade's row locked.

    Attributes
    ----------
    approved:
        Number of all approved intents when it was found.
    """

    intent_id: UUID
    trade_id: UUID
    user_broker_id: str
    symbol: str
    is_leg: bool
    approved: int = 1


class OrderQueues:
    """Queries of one transaction for pending work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return the time of the database's clock, shared by the order processes of all machines."""
        ((at,),) = fetch(self._connection, NOW, {})
        assert isinstance(at, datetime)
        return at

    def next_due_s(self, in_flight: int, asked: Asked = None) -> float | None:
        """Return the seconds until `ask_pending_approved` may find something, 0 or less: now; None: nothing waits."""
        ((due_s,),) = fetch(self._connection, NEXT_DUE, {"in_flight": in_flight, "asked": _ids(asked)})
        return None if due_s is None else float(due_s)

    def ask_pending_approved(
        self, accounts: int, of_account: int, in_flight: int, asked: Asked = None
    ) -> Answer[list[PendingApproved]]:
        """Ask for intents free to be sent, account by account, locked with their trades.

        The account with the exit of the highest rank, then the oldest, comes first, and so do its exits. Skip rows
        locked by others, and accounts with `in_flight` orders on their way.
        """
        given = {
            "ranks": [str(reason) for reason in ExitReason],
            "in_flight": in_flight,
            "of_account": of_account,
            "limit": accounts * of_account,
            "asked": _ids(asked),
        }
        return ask(self._connection, FIND_PENDING_APPROVED, given, lambda rows: [PendingApproved(*it) for it in rows])

    def not_asked_for(self, asked: Asked) -> dict[UUID, UUID]:
        """Return the exits ready to be sent but for a request of trade management, with their trades."""
        rows = fetch(self._connection, NOT_ASKED_FOR, {"asked": _ids(asked), "limit": LIMIT})
        return dict(rows)

    def lapse_claims(self) -> int:
        """Change SUBMITTING → UNKNOWN for expired claims; return how many."""
        return self._connection.execute(LAPSE_CLAIMS, {"limit": LIMIT}).rowcount

    def at_broker(self, answer_wait: timedelta) -> list[ExitIntent]:
        """Return intents whose order is, or may be, at a broker, oldest first; without those just being sent."""
        return self._intents(AT_BROKER, answer_wait=answer_wait)

    def beyond_remainder(self, user_broker_ids: Collection[str]) -> list[ExitIntent]:
        """Return intents of these user brokers whose order may exceed the trade's remaining quantity."""
        return self._intents(BEYOND_REMAINDER, user_broker_ids=sorted(user_broker_ids))

    def ended_today(self, book_days: Mapping[str, BookDay], within: timedelta) -> list[ExitIntent]:
        """Return intents in the broker's books of today that ended within this time and may still fill."""
        begins = [day.begins for day in book_days.values()]
        return self._intents(ENDED_TODAY, brokers=list(book_days), begins=begins, within=within)

    def fills_today(self, day: date) -> dict[str, int]:
        """Return how many fills of a trading day each user broker has; omit those without any."""
        return dict(fetch(self._connection, FILLS_TODAY, {"day": day}))

    def filled_behind(self, user_broker_id: str, orders: Mapping[str, tuple[int, bool]]) -> list[ExitIntent]:
        """Return filled intents with an order, by id, filled further than they are, or at work."""
        filled, working = zip(*orders.values(), strict=True) if orders else ((), ())
        shown = {"order_ids": list(orders), "filled": list(filled), "working": list(working)}
        return self._intents(FILLED_BEHIND, user_broker_id=user_broker_id, **shown)

    def anything_approved(self, asked: Asked = None) -> bool:
        """Return whether an approved exit waits to be sent, for whatever reason."""
        ((found,),) = fetch(self._connection, ANYTHING_APPROVED, {"asked": _ids(asked)})
        return bool(found)

    def to_requalify(self) -> list[ExitIntent]:
        """Return unsent intents possibly due for requalification, oldest first, without held ones."""
        return self._intents(TO_REQUALIFY)

    def held(self, after: ExitIntent | None, limit: int) -> list[ExitIntent]:
        """Return a page of unsent intents held back by a kill switch or their broker's state, oldest first."""
        created_at, intent_id = (EPOCH, UUID(int=0)) if after is None else (after.created_at, after.intent_id)
        return self._intents(HELD, created_at=created_at, intent_id=intent_id, limit=limit)

    def last_prices(self, symbols: Collection[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol in rupees; omit symbols without a tick."""
        return {symbol: price for symbol, (price, _) in self.last_ticks(symbols).items()}

    def last_ticks(self, symbols: Collection[str]) -> dict[str, tuple[Decimal, datetime]]:
        """Return price in rupees and time of each symbol's last tick; omit symbols without a tick."""
        rows = self._connection.execute(LAST_PRICES, {"symbols": sorted(symbols)})
        return {row.symbol: (row.last_price, row.last_ts) for row in rows}

    def _intents(self, statement: TextClause, **parameters: object) -> list[ExitIntent]:
        return to_intents(fetch(self._connection, statement, {"limit": LIMIT, **parameters}))


def _ids(asked: Asked) -> list[UUID] | None:
    return None if asked is None else list(asked)
