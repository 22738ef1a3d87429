"""Errors of unsent exits while they wait for an account, trade management, a corporate action or a stop."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.storage.trade_holds import IN_FORCE

AWAITS_TRADE_MANAGEMENT: Final = "AWAITS_TRADE_MANAGEMENT"
AWAITS_MESSAGE: Final = "trade management has not asked for its execution; see /readyz of trade-fills"
ACCOUNT_DISCONNECTED: Final = "ACCOUNT_DISCONNECTED"
DISCONNECTED_MESSAGE: Final = "the user broker is DISCONNECTED; an operator must connect it"
AWAITS_CORPORATE_ACTION: Final = "AWAITS_CORPORATE_ACTION"
HELD_BY_STOP: Final = "PROTECTIVE_STOP"
HELD_MESSAGE: Final = (
    "the broker holds the trade's protective stop; the exit is sent once its cancellation is confirmed"
)

LIMIT: Final = 5000
"""Maximum rows per statement; the rest follows once these have advanced."""
STOPS_LIMIT: Final = 1000
"""The same of exits behind stops."""


def _set_or_clear(name: str, exits: str, applies: str) -> TextClause:
    """Return the statement that sets the error of unsent exits while it applies, and clears it afterwards."""
    return text(f"""
-- {name}
UPDATE exit_intents
   SET error_code = CASE WHEN error_code = :code THEN NULL ELSE :code END,
       error_message = CASE WHEN error_code = :code THEN NULL ELSE :message END,
       version = version + 1
 WHERE intent_id IN (
   SELECT i.intent_id FROM {exits} AND i.executable AND i.deleted_at IS NULL
      AND ({applies}) <> (i.error_code IS NOT DISTINCT FROM :code)
    ORDER BY i.intent_id
    LIMIT :limit
      FOR UPDATE OF i SKIP LOCKED)
""")  # noqa: S608  # conditions of our own


def _behind_stop(name: str, waits: str) -> TextClause:
    """Return the statement that sets the error of approved exits whose trade has a stop at the broker."""
    return text(f"""
-- {name}
UPDATE exit_intents
   SET error_code = :code, error_message = :message, version = version + 1
 WHERE intent_id IN (
   SELECT i.intent_id FROM exit_intents i
     JOIN protective_stops s ON s.trade_id = i.trade_id AND s.ended_at IS NULL AND s.status <> 'WANTED'
    WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL AND {waits}
    LIMIT :limit
      FOR UPDATE OF i SKIP LOCKED)
""")  # noqa: S608  # conditions of our own


NOTE_DISCONNECTED = _set_or_clear(
    "waiting_errors.note_disconnected: unsent exits show a disconnected account",
    "exit_intents i JOIN user_brokers b ON b.user_broker_id = i.user_broker_id "
    "WHERE i.status IN ('PENDING', 'APPROVED')",
    "b.status = 'DISCONNECTED'",
)
NOTE_NOT_ASKED_FOR = _set_or_clear(
    "waiting_errors.note_not_asked_for: exits show that they wait for trade management",
    "exit_intents i WHERE i.status = 'APPROVED'",
    "i.intent_id = ANY (CAST(:intent_ids AS uuid[]))",
)
NOTE_CHANGING = text(f"""
-- waiting_errors.note_changing: approved exits show the corporate action of their trade, unless they show another error
WITH waiting AS (
  SELECT i.intent_id,
         CASE WHEN h.trade_id IS NULL THEN NULL
              WHEN h.awaited_version IS NOT NULL
              THEN format('a corporate action has changed its trade; until exit-ticks has read version %s of the trade',
                          h.awaited_version)
              ELSE format('a corporate action is changing its trade; until %s at the latest',
                          to_char(h.held_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) END AS why
    FROM exit_intents i
    LEFT JOIN trade_holds h ON h.trade_id = i.trade_id AND {IN_FORCE}
   WHERE i.status = 'APPROVED' AND i.executable AND i.deleted_at IS NULL
     AND (i.error_code = :code OR (i.error_code IS NULL AND h.trade_id IS NOT NULL))),
changed AS (
  SELECT i.intent_id, w.why FROM waiting w
    JOIN exit_intents i ON i.intent_id = w.intent_id
   WHERE i.error_message IS DISTINCT FROM w.why
   ORDER BY i.intent_id
   LIMIT :limit
     FOR UPDATE OF i SKIP LOCKED)
UPDATE exit_intents i
   SET error_code = CASE WHEN c.why IS NOT NULL THEN :code END, error_message = c.why, version = i.version + 1
  FROM changed c
 WHERE i.intent_id = c.intent_id AND i.status = 'APPROVED'
""")  # noqa: S608  # a condition of our own
NOTE_HELD = _behind_stop(
    "waiting_errors.note_held: exits show that they wait for the cancellation of their trade's stop",
    "i.error_code IS NULL AND i.created_at < clock_timestamp() - interval '1 second'",
)
NOTE_REFUSED_TOKEN = _behind_stop(
    "waiting_errors.note_refused_token: exits behind a stop show that the broker refuses the account's token",
    "i.user_broker_id = :user_broker_id AND i.error_code IS DISTINCT FROM :code",
)


class WaitingErrorRepository:
    """Errors of waiting exits, written in one transaction; rows held by others are passed over."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note_disconnected(self) -> None:
        """Set or clear the error ACCOUNT_DISCONNECTED of unsent exits according to their accounts."""
        self._note(NOTE_DISCONNECTED, ACCOUNT_DISCONNECTED, DISCONNECTED_MESSAGE)

    def note_not_asked_for(self, intent_ids: Collection[UUID]) -> None:
        """Set the error AWAITS_TRADE_MANAGEMENT of these approved exits, and clear it from all others."""
        self._note(NOTE_NOT_ASKED_FOR, AWAITS_TRADE_MANAGEMENT, AWAITS_MESSAGE, intent_ids=sorted(intent_ids))

    def note_changing(self) -> None:
        """Set the error AWAITS_CORPORATE_ACTION of approved exits of held trades, and clear it from all others."""
        self._connection.execute(NOTE_CHANGING, {"code": AWAITS_CORPORATE_ACTION, "limit": LIMIT})

    def note_held_by_stop(self) -> None:
        """Let exits waiting for the cancellation of a stop show it as their error."""
        self._note(NOTE_HELD, HELD_BY_STOP, HELD_MESSAGE, limit=STOPS_LIMIT)

    def note_refused_token(self, user_broker_id: str, code: str, message: str) -> None:
        """Let exits waiting for the cancellation of a stop show that the broker refuses the account's token."""
        self._note(NOTE_REFUSED_TOKEN, code, message, limit=STOPS_LIMIT, user_broker_id=user_broker_id)

    def _note(self, statement: TextClause, code: str, message: str, *, limit: int = LIMIT, **values: object) -> None:
        self._connection.execute(statement, {"code": code, "message": message, "limit": limit, **values})
