"""Queues of the order process: intents to send, to look up at the broker, or to qualify again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.domain.book_day import BookDay
from services.exit_qualification.domain.gates.registry import deferred_sql, unsent_sql
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.models import ExitIntentRow
from services.exit_qualification.storage.book_days import books_began
from services.exit_qualification.storage.exit_intents import to_intent
from services.exit_qualification.storage.market_facts import GATE_ROWS
from shared.clock import EPOCH
from shared.outbox.hold import NOT_HELD

_COLUMNS = ", ".join(f"i.{column.name}" for column in ExitIntentRow.__table__.c if column.name != "deleted_at")

_MAY_BE_SENT = f"""
  FROM exit_intents i
  JOIN open_trades t ON t.trade_id = i.trade_id
{GATE_ROWS}
 WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL
   AND coalesce(i.claimed_until <= clock_timestamp(), true)
   AND coalesce(i.expires_at > clock_timestamp(), true)
   AND NOT {unsent_sql()}
   AND {NOT_HELD}
"""
ANY_TO_SEND = text(f"""
-- exit_intents.any_to_send
SELECT EXISTS (SELECT {_MAY_BE_SENT})
""")
FIND_PENDING_APPROVED = text(f"""
-- exit_intents.find_pending_approved: neither row is waited for, so that one that is held stops no other exit
SELECT i.intent_id, i.trade_id {_MAY_BE_SENT}
 ORDER BY i.created_at, i.intent_id
 LIMIT 1
   FOR UPDATE OF t, i SKIP LOCKED
""")
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
-- exit_intents.at_broker
SELECT {_COLUMNS} FROM exit_intents i
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED') AND i.deleted_at IS NULL
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
BEYOND_REMAINDER = text(f"""
-- exit_intents.beyond_remainder: an order is at the broker for more than the trade's fills have left
SELECT {_COLUMNS} FROM exit_intents i
  JOIN open_trades t ON t.trade_id = i.trade_id
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN', 'PLACED', 'PARTIALLY_FILLED') AND i.deleted_at IS NULL
   AND i.user_broker_id = :user_broker_id
   AND i.quantity - i.filled_quantity
       > t.quantity - (SELECT coalesce(sum(f.quantity), 0) FROM exit_fills f WHERE f.trade_id = i.trade_id)
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
ENDED_TODAY = text(f"""
-- exit_intents.ended_today: sent since the books of their broker began and ended short: fills may still come
SELECT {_COLUMNS} FROM exit_intents i
  JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
  JOIN unnest(CAST(:brokers AS text[]), CAST(:begins AS interval[])) AS day (broker, begins) ON day.broker = b.broker
 WHERE i.status IN ('CANCELLED', 'FAILED') AND i.deleted_at IS NULL
   AND i.submitted_at >= {books_began("day.begins")}
 ORDER BY i.ended_at DESC
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping
_WAITING = f"""
SELECT {_COLUMNS} FROM exit_intents i
{GATE_ROWS}
  LEFT JOIN exit_episodes e ON e.trade_id = i.trade_id AND e.exit_reason = i.exit_reason
 WHERE i.status IN ('PENDING', 'APPROVED') AND i.deleted_at IS NULL
   AND CASE WHEN i.executable THEN i.status = 'PENDING' OR i.expires_at <= clock_timestamp()
            ELSE e.last_episode_id > i.episode_id OR e.cooldown_until <= clock_timestamp() END
"""  # noqa: S608  # the columns of our own mapping
_HELD = f"(i.executable AND coalesce(i.expires_at > clock_timestamp(), true) AND {deferred_sql()})"
TO_REQUALIFY = text(f"""
-- exit_intents.to_requalify: unsent, and either waiting for a gate, out of time, or dark with its cooldown over
{_WAITING} AND NOT {_HELD}
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")
HELD = text(f"""
-- exit_intents.held: waiting, and a switch would defer them again
{_WAITING} AND {_HELD} AND (i.created_at, i.intent_id) > (:created_at, :intent_id)
 ORDER BY i.created_at, i.intent_id
 LIMIT :limit
""")
NOTE_DISCONNECTED = text("""
-- exit_intents.note_disconnected: unsent exits show that their account is disconnected, and no longer once it is not
UPDATE exit_intents
   SET error_code = CASE WHEN error_code = :code THEN NULL ELSE :code END,
       error_message = CASE WHEN error_code = :code THEN NULL ELSE :message END,
       version = version + 1
 WHERE intent_id IN (
   SELECT i.intent_id FROM exit_intents i
     JOIN user_brokers b ON b.user_broker_id = i.user_broker_id
    WHERE i.status IN ('PENDING', 'APPROVED') AND i.executable AND i.deleted_at IS NULL
      AND (b.status = 'DISCONNECTED') <> (i.error_code IS NOT DISTINCT FROM :code)
    ORDER BY i.intent_id
    LIMIT :limit
      FOR UPDATE OF i SKIP LOCKED)
""")
LAST_PRICES = text("""
-- tick_symbols.last_prices
SELECT symbol, last_price FROM tick_symbols WHERE symbol = ANY (CAST(:symbols AS text[]))
""")
NOW = text("SELECT clock_timestamp()")

ACCOUNT_DISCONNECTED = "ACCOUNT_DISCONNECTED"
DISCONNECTED_MESSAGE = "the user broker is DISCONNECTED; an operator must connect it"

LIMIT = 5000
"""Maximum rows per query; the rest follows once these have advanced."""


@dataclass(frozen=True, slots=True)
class PendingApproved:
    """Approved intent with its trade's row locked."""

    intent_id: UUID
    trade_id: UUID


class OrderQueues:
    """Queries of one transaction for pending work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return the time of the database's clock, shared by the order processes of all machines."""
        at: datetime = self._connection.execute(NOW).scalar_one()
        return at

    def any_to_send(self) -> bool:
        """Return whether `find_pending_approved` may find something."""
        return bool(self._connection.execute(ANY_TO_SEND).scalar_one())

    def find_pending_approved(self) -> PendingApproved | None:
        """Return the oldest intent that may be sent, locked with its trade; skip rows locked by others."""
        row = self._connection.execute(FIND_PENDING_APPROVED).one_or_none()
        return None if row is None else PendingApproved(row.intent_id, row.trade_id)

    def lapse_claims(self) -> int:
        """Change SUBMITTING → UNKNOWN for expired claims; return how many."""
        return self._connection.execute(LAPSE_CLAIMS, {"limit": LIMIT}).rowcount

    def at_broker(self) -> list[ExitIntent]:
        """Return intents whose order is, or may be, at a broker, oldest first."""
        return self._intents(AT_BROKER)

    def beyond_remainder(self, user_broker_id: str) -> list[ExitIntent]:
        """Return intents of a user broker whose order may exceed the trade's remaining quantity."""
        return self._intents(BEYOND_REMAINDER, user_broker_id=user_broker_id)

    def ended_today(self, book_days: Mapping[str, BookDay]) -> list[ExitIntent]:
        """Return intents in the broker's books of today that ended without their whole quantity, latest first."""
        begins = [day.begins for day in book_days.values()]
        return self._intents(ENDED_TODAY, brokers=list(book_days), begins=begins)

    def to_requalify(self) -> list[ExitIntent]:
        """Return unsent intents that may be due for requalification, oldest first, without held ones."""
        return self._intents(TO_REQUALIFY)

    def held(self, after: ExitIntent | None, limit: int) -> list[ExitIntent]:
        """Return a page of unsent intents held back by a kill switch or their broker's state, oldest first."""
        created_at, intent_id = (EPOCH, UUID(int=0)) if after is None else (after.created_at, after.intent_id)
        return self._intents(HELD, created_at=created_at, intent_id=intent_id, limit=limit)

    def note_disconnected(self) -> None:
        """Set or clear the error ACCOUNT_DISCONNECTED of unsent exits according to their accounts."""
        about = {"code": ACCOUNT_DISCONNECTED, "message": DISCONNECTED_MESSAGE, "limit": LIMIT}
        self._connection.execute(NOTE_DISCONNECTED, about)

    def last_prices(self, symbols: Collection[str]) -> dict[str, Decimal]:
        """Return the last price of each symbol in rupees; omit symbols without a tick."""
        rows = self._connection.execute(LAST_PRICES, {"symbols": sorted(symbols)})
        return {row.symbol: row.last_price for row in rows}

    def _intents(self, statement: TextClause, **parameters: object) -> list[ExitIntent]:
        rows = self._connection.execute(statement, {"limit": LIMIT, **parameters})
        return [to_intent(row) for row in rows]
