"""How many exits have not ended, by status."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent_state_machine import PENDING_VIEW
from services.exit_qualification.storage.exit_lists import ExitFilter
from shared.contracts.vocabulary import IntentStatus

MOST_COUNTED = 20_000
"""Rows read at most: some ten milliseconds of PostgreSQL."""

COUNTS = text(f"""
-- pending_counts.by_status
SELECT status, count(*) AS exits FROM (
    SELECT status FROM exit_intents
     WHERE status IN ({", ".join(f"'{status}'" for status in sorted(PENDING_VIEW))}) AND deleted_at IS NULL
       AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
       AND (CAST(:user_broker_id AS text) IS NULL OR user_broker_id = :user_broker_id)
       AND (CAST(:exit_reason AS text) IS NULL OR exit_reason = :exit_reason)
       AND (CAST(:created_until AS timestamptz) IS NULL OR created_at <= :created_until)
     LIMIT :most
) AS found GROUP BY status ORDER BY status
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """Exits by status; `total` is a lower bound and `by_status` empty if there are too many to count."""

    total: int
    by_status: dict[IntentStatus, int]
    is_whole: bool


def pending_counts(connection: Connection, wanted: ExitFilter) -> PendingCounts:
    """Return the number of pending exits by status that match a filter's symbol, user broker, reason and time."""
    parameters = {
        "symbol": wanted.symbol,
        "user_broker_id": wanted.user_broker_id,
        "exit_reason": wanted.exit_reason,
        "created_until": wanted.created_until,
        "most": MOST_COUNTED + 1,
    }
    counts = {IntentStatus(row.status): row.exits for row in connection.execute(COUNTS, parameters)}
    total = sum(counts.values())
    if total > MOST_COUNTED:
        return PendingCounts(MOST_COUNTED, {}, is_whole=False)
    return PendingCounts(total, counts, is_whole=True)
