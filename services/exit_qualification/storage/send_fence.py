"""Send fence: checks a claimed intent before sending, and lists intents possibly on their way to a broker."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from services.exit_qualification.domain.gates.registry import unsent_sql
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.storage.intent_rows import COLUMNS, to_intents
from services.exit_qualification.storage.market_facts import GATE_ROWS
from shared.outbox.hold import NOT_HELD
from shared.postgres.hot_path import Answer, ask, fetch
from shared.postgres.named_rows import in_status

FRESH_S = 0.05
"""Time for which a sender may rely on a check."""

LIMIT = 1000
"""Maximum intents per query; `order_workers` of every exit-orders process bounds those being sent."""

MAY_STILL_BE_SENT = text(f"""
-- exit_intents.may_still_be_sent: the last statement before the calls to the broker
SELECT i.intent_id
  FROM unnest(CAST(:intent_ids AS uuid[]), CAST(:versions AS integer[])) AS w (intent_id, version)
  JOIN exit_intents i ON i.intent_id = w.intent_id AND i.version = w.version
{GATE_ROWS}
 WHERE {in_status("i", "SUBMITTING")} AND i.claimed_until > clock_timestamp()
   AND NOT {unsent_sql()}
   AND {NOT_HELD}
""")  # noqa: S608  # the conditions of our own gates
ON_THEIR_WAY = text(f"""
-- exit_intents.on_their_way: handed to a sender or to the broker, and not known to have arrived
SELECT {COLUMNS} FROM exit_intents i
 WHERE i.status IN ('SUBMITTING', 'UNKNOWN') AND i.deleted_at IS NULL
 ORDER BY i.submitted_at, i.intent_id
 LIMIT :limit
""")  # noqa: S608  # the columns of our own mapping


class SendFence:
    """Fence between operators' switches and senders, within one transaction.

    A sender commits its intents as SUBMITTING, asks `may_still_be_sent` right before the calls to the broker, and again
    after `FRESH_S`. Once a switch is committed, an order can leave only for an intent listed by `on_their_way`: its
    sender checked before the commit, and the row was SUBMITTING by then. Every later check leaves it out.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask_may_still_be_sent(self, versions: Sequence[tuple[UUID, int]]) -> Answer[frozenset[UUID]]:
        """Ask for the intents, by id and version, with a valid claim and without a switch against them."""
        parameters = {"intent_ids": [it for it, _ in versions], "versions": [version for _, version in versions]}
        return ask(self._connection, MAY_STILL_BE_SENT, parameters, _ids)

    def on_their_way(self) -> list[ExitIntent]:
        """Return the intents with orders still able to reach a broker, oldest first."""
        return to_intents(fetch(self._connection, ON_THEIR_WAY, {"limit": LIMIT}))


def _ids(rows: Sequence[tuple[UUID]]) -> frozenset[UUID]:
    return frozenset(intent_id for (intent_id,) in rows)
