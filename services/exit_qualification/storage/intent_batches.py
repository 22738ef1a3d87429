"""Changes of many intents in one statement; each row is named with the version read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, TextClause, text

from services.exit_qualification.domain.exit_qualification_service import ExitQualificationResult
from services.exit_qualification.domain.intent import CancelReason, ExitIntent
from services.exit_qualification.storage.exit_episodes import ExitEpisodeRepository
from services.exit_qualification.storage.intent_rows import COLUMNS, to_intents
from shared.errors import StaleVersion
from shared.postgres.hot_path import Answer, ask
from shared.postgres.named_rows import in_status

_LOCK = """
WITH trade AS MATERIALIZED (
  SELECT trade_id FROM open_trades
   WHERE trade_id = ANY (CAST(:trade_ids AS uuid[]))
   ORDER BY trade_id
     FOR UPDATE {of_held})
SELECT i.intent_id, i.version FROM exit_intents i
 WHERE i.intent_id = ANY (CAST(:intent_ids AS uuid[])) AND i.deleted_at IS NULL
   AND i.trade_id IN (SELECT trade_id FROM trade)
 ORDER BY i.intent_id
   FOR UPDATE OF i {of_held}
"""
LOCK_FREE = text(f"""
-- exit_intents.lock_free: the intents not held by another transaction, nor their trades; locked trade before intent
{_LOCK.format(of_held="SKIP LOCKED")}
""")
LOCK_NOW = text(f"""
-- exit_intents.lock_now: as lock_free, but it fails if another transaction holds one of them
{_LOCK.format(of_held="NOWAIT")}
""")
SUBMIT = text(f"""
-- exit_intents.submit: approved intents with orders about to be sent
UPDATE exit_intents i
   SET status = 'SUBMITTING', submitted_at = clock_timestamp(),
       claimed_until = clock_timestamp() + :claim, attempts = i.attempts + 1,
       error_code = NULL, error_message = NULL, quantity = w.quantity, gates = w.gates, beside_leg = w.beside_leg,
       version = i.version + 1
  FROM unnest(CAST(:intent_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:quantities AS bigint[]),
              CAST(:gates AS jsonb[]), CAST(:beside_legs AS boolean[]))
       AS w (intent_id, version, quantity, gates, beside_leg)
 WHERE i.intent_id = w.intent_id AND i.version = w.version AND {in_status("i", "APPROVED")}
RETURNING {COLUMNS}
""")  # noqa: S608  # the columns of our own mapping
_PLACED_AT = """
coalesce(i.placed_at, greatest(i.submitted_at, clock_timestamp() - make_interval(secs => w.accepted_ago_s)))"""
PLACE = text(f"""
-- exit_intents.place: orders accepted by the broker
UPDATE exit_intents i
   SET status = 'PLACED', broker_order_id = w.broker_order_id, placed_at = {_PLACED_AT}, absent_since = NULL,
       error_code = NULL, error_message = NULL, version = i.version + 1
  FROM unnest(CAST(:intent_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:order_ids AS text[]),
              CAST(:accepted_ago_s AS float8[])) AS w (intent_id, version, broker_order_id, accepted_ago_s)
 WHERE i.intent_id = w.intent_id AND i.version = w.version AND {in_status("i", "SUBMITTING", "UNKNOWN")}
RETURNING {COLUMNS}
""")  # noqa: S608  # the columns of our own mapping
FILL = text(f"""
-- exit_intents.fill: orders completely filled by the broker, also those not recorded as accepted
UPDATE exit_intents i
   SET status = 'FILLED', broker_order_id = w.broker_order_id, placed_at = {_PLACED_AT}, filled_quantity = i.quantity,
       average_price = w.average_price, filled_at = clock_timestamp(), ended_at = clock_timestamp(),
       absent_since = NULL, error_code = NULL, error_message = NULL, version = i.version + 1
  FROM unnest(CAST(:intent_ids AS uuid[]), CAST(:versions AS integer[]), CAST(:order_ids AS text[]),
              CAST(:accepted_ago_s AS float8[]), CAST(:average_prices AS numeric[]))
       AS w (intent_id, version, broker_order_id, accepted_ago_s, average_price)
 WHERE i.intent_id = w.intent_id AND i.version = w.version
   AND {in_status("i", "SUBMITTING", "UNKNOWN", "PLACED", "PARTIALLY_FILLED")}
RETURNING {COLUMNS}
""")  # noqa: S608  # the columns of our own mapping
CANCEL = text(f"""
-- exit_intents.cancel: unsent intents
UPDATE exit_intents i
   SET status = 'CANCELLED', cancel_reason = :reason, ended_at = :at, version = i.version + 1
  FROM unnest(CAST(:intent_ids AS uuid[]), CAST(:versions AS integer[])) AS w (intent_id, version)
 WHERE i.intent_id = w.intent_id AND i.version = w.version AND {in_status("i", "PENDING", "APPROVED")}
RETURNING {COLUMNS}
""")  # noqa: S608  # the columns of our own mapping


@dataclass(frozen=True, slots=True)
class Submitted:
    """Intent to mark as SUBMITTING with the verdicts of the gates and the quantity left by them."""

    intent: ExitIntent
    result: ExitQualificationResult


@dataclass(frozen=True, slots=True)
class AcceptedIntent:
    """Intent with its order at the broker, since so many seconds if not recorded yet."""

    intent: ExitIntent
    order_id: str
    accepted_ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FilledIntent(AcceptedIntent):
    """Intent with a completely filled order, at a volume-weighted price."""

    average_price: Decimal = field(kw_only=True)


class IntentBatches:
    """Set-based changes within one transaction. A row changed since it was read is left out of the result."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock_free(self, intents: Sequence[ExitIntent]) -> dict[UUID, int]:
        """Lock the intents and their trades without waiting; return the versions of those not held by others."""
        return self._ask_lock(LOCK_FREE, intents).get()

    def ask_lock_now(self, intents: Sequence[ExitIntent]) -> Answer[dict[UUID, int]]:
        """Lock them as `lock_free` does, or fail with a lock time-out if another transaction holds one of them."""
        return self._ask_lock(LOCK_NOW, intents)

    def ask_submit(self, submitted: Sequence[Submitted], claim: timedelta, now: datetime) -> Answer[list[ExitIntent]]:
        """Change APPROVED → SUBMITTING, to be committed before the broker is called; ask for them in their order."""
        values = {
            "quantities": [each.result.calculated_qty for each in submitted],
            "gates": [
                msgspec.json.encode(each.result.verdicts_after(each.intent.gates, now)).decode() for each in submitted
            ],
            "beside_legs": [each.result.beside_leg for each in submitted],
            "claim": claim,
        }
        return self._ask(SUBMIT, [each.intent for each in submitted], values)

    def ask_place(self, accepted: Sequence[AcceptedIntent]) -> Answer[list[ExitIntent]]:
        """Record the broker's order ids."""
        return self._ask(PLACE, [each.intent for each in accepted], _order_values(accepted))

    def cancel(self, intents: Sequence[ExitIntent], reason: CancelReason, *, at: datetime) -> list[ExitIntent]:
        """Cancel locked, unsent intents; return them in their order.

        Raises
        ------
        StaleVersion
            A row has changed since it was read.
        """
        ended = self._ask(CANCEL, intents, {"reason": str(reason), "at": at}).get() if intents else []
        if len(ended) < len(intents):
            raise StaleVersion("an intent has changed since it was read under its lock")
        return ended

    def ask_fill(self, filled: Sequence[FilledIntent]) -> Answer[list[ExitIntent]]:
        """Record complete fills, and let the reasons' next failures start with the first wait."""
        intents = [each.intent for each in filled]
        values = _order_values(filled) | {"average_prices": [each.average_price for each in filled]}
        filling = self._ask(FILL, intents, values)
        ExitEpisodeRepository(self._connection).filled(intents)
        return filling

    def _ask_lock(self, statement: TextClause, intents: Sequence[ExitIntent]) -> Answer[dict[UUID, int]]:
        wanted = {
            "trade_ids": sorted({intent.trade_id for intent in intents}),
            "intent_ids": [intent.intent_id for intent in intents],
        }
        return ask(self._connection, statement, wanted, dict)

    def _ask(self, statement: Any, intents: Sequence[ExitIntent], values: dict[str, Any]) -> Answer[list[ExitIntent]]:
        named = {
            "intent_ids": [intent.intent_id for intent in intents],
            "versions": [intent.version for intent in intents],
        }
        return ask(self._connection, statement, named | values, partial(_in_order, intents))


def _in_order(intents: Sequence[ExitIntent], rows: Sequence[tuple[Any, ...]]) -> list[ExitIntent]:
    """Return the changed intents in the order of the given ones."""
    changed = {intent.intent_id: intent for intent in to_intents(rows)}
    return [changed[intent.intent_id] for intent in intents if intent.intent_id in changed]


def _order_values(orders: Sequence[AcceptedIntent]) -> dict[str, Any]:
    return {
        "order_ids": [each.order_id for each in orders],
        "accepted_ago_s": [each.accepted_ago_s for each in orders],
    }
