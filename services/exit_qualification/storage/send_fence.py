"""SendFence: whether a claimed intent may still be sent, and which ones may be on their way to a broker."""

from __future__ import annotations

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.models import ExitIntentRow
from services.exit_qualification.storage.exit_intents import to_intent

LIMIT = 1000
"""Most intents that one look returns; `order_workers` of every exit-orders process bounds those being sent."""

_COLUMNS = ", ".join(f"i.{column.name}" for column in ExitIntentRow.__table__.c if column.name != "deleted_at")

MAY_STILL_BE_SENT = text("""
-- exit_intents.may_still_be_sent: the last statement before the call to the broker
SELECT EXISTS (
  SELECT FROM exit_intents i
    JOIN user_brokers b ON b.user_broker_id = i.user_broker_id AND b.status = 'CONNECTED'
   CROSS JOIN kill_switch k
   CROSS JOIN rollout r
   WHERE i.intent_id = :intent_id AND i.version = :version AND i.status = 'SUBMITTING'
     AND i.claimed_until > clock_timestamp()
     AND (k.mode <> 'ALL' OR i.exit_reason = 'MANUAL')
     AND (r.mode = 'full'
          OR r.mode = 'limited' AND (i.symbol = ANY (r.symbols) OR i.user_broker_id = ANY (r.user_broker_ids))))
""")
ON_THEIR_WAY = text(f"""
-- exit_intents.on_their_way: handed to a sender or to the broker, and not known to have arrived
SELECT {_COLUMNS} FROM exit_intents i
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN') AND i.deleted_at IS NULL
 ORDER BY i.submitted_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping


class SendFence:
    """The fence between operators' switches and senders, as one transaction sees it.

    A sender commits its intent as SUBMITTING, then asks `may_still_be_sent` as its last statement, then calls the
    broker. So once a switch is committed, an order can only still leave for an intent that `on_their_way` lists: its
    sender asked before that commit, and the row was SUBMITTING by then. Every later question is answered no.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def may_still_be_sent(self, intent: ExitIntent) -> bool:
        """Return whether the claim still stands and no switch holds the intent back."""
        parameters = {"intent_id": intent.intent_id, "version": intent.version}
        return bool(self._connection.execute(MAY_STILL_BE_SENT, parameters).scalar_one())

    def on_their_way(self) -> list[ExitIntent]:
        """Return the intents whose order may reach a broker later than now, oldest first."""
        return [to_intent(row) for row in self._connection.execute(ON_THEIR_WAY, {"limit": LIMIT})]
