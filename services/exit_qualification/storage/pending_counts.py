"""How many exits have not ended, by status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent_state_machine import PENDING_VIEW
from shared.contracts.vocabulary import ExitReason, IntentStatus

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


def pending_counts(
    connection: Connection,
    *,
    symbol: str | None = None,
    user_broker_id: str | None = None,
    exit_reason: ExitReason | None = None,
    created_until: datetime | None = None,
) -> PendingCounts:
    """Return the number of pending exits that match all given filters."""
    wanted = {
        "symbol": symbol,
        "user_broker_id": user_broker_id,
        "exit_reason": exit_reason,
        "created_until": created_until,
        "most": MOST_COUNTED + 1,
    }
    counts = {IntentStatus(row.status): row.exits for row in connection.execute(COUNTS, wanted)}
    total = sum(counts.values())
    if total > MOST_COUNTED:
        return PendingCounts(MOST_COUNTED, {}, is_whole=False)
    return PendingCounts(total, counts, is_whole=True)
