"""Send fence: checks a claimed intent before sending, and lists intents possibly on their way to a broker."""

from __future__ import annotations

from sqlalchemy import Connection, text

from services.exit_qualification.domain.gates.registry import unsent_sql
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.models import ExitIntentRow
from services.exit_qualification.storage.exit_intents import to_intent
from services.exit_qualification.storage.market_facts import GATE_ROWS
from shared.outbox.hold import NOT_HELD

LIMIT = 1000
"""Maximum intents per query; `order_workers` of every exit-orders process bounds those being sent."""

_COLUMNS = ", ".join(f"i.{column.name}" for column in ExitIntentRow.__table__.c if column.name != "deleted_at")

MAY_STILL_BE_SENT = text(f"""
-- exit_intents.may_still_be_sent: the last statement before the call to the broker
SELECT EXISTS (
  SELECT FROM exit_intents i
{GATE_ROWS}
   WHERE i.intent_id = :intent_id AND i.version = :version AND i.status = 'SUBMITTING'
     AND i.claimed_until > clock_timestamp()
     AND NOT {unsent_sql()}
     AND {NOT_HELD})
""")  # noqa: S608  # the conditions of our own gates
ON_THEIR_WAY = text(f"""
-- exit_intents.on_their_way: handed to a sender or to the broker, and not known to have arrived
SELECT {_COLUMNS} FROM exit_intents i
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN') AND i.deleted_at IS NULL
 ORDER BY i.submitted_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping


class SendFence:
    """Fence between operators' switches and senders, within one transaction.

    A sender commits its intent as SUBMITTING, calls `may_still_be_sent` as its last statement, then calls the broker.
    Once a switch is committed, an order can leave only for an intent listed by `on_their_way`: its sender checked
    before
    that commit, and the row was SUBMITTING by then. Every later check returns False.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def may_still_be_sent(self, intent: ExitIntent) -> bool:
        """Return whether the claim is still valid and no switch holds the intent back."""
        parameters = {"intent_id": intent.intent_id, "version": intent.version}
        return bool(self._connection.execute(MAY_STILL_BE_SENT, parameters).scalar_one())

    def on_their_way(self) -> list[ExitIntent]:
        """Return the intents whose order may still reach a broker, oldest first."""
        return [to_intent(row) for row in self._connection.execute(ON_THEIR_WAY, {"limit": LIMIT})]
