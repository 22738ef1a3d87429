"""Repository of accounts that a trade may name, a projection of operations.controls.v1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from shared.contracts.controls import UserBrokerChanged
from shared.postgres.hot_path import fetch

APPLY = text("""
-- user_brokers.apply: an older event, read again, changes nothing
INSERT INTO user_brokers AS known (user_broker_id, status, changed_at, entries_held_since, entries_held_reason)
VALUES (:user_broker_id, :status, :changed_at, :entries_held_since, :entries_held_reason)
ON CONFLICT (user_broker_id) DO UPDATE
   SET status = EXCLUDED.status, changed_at = EXCLUDED.changed_at,
       entries_held_since = EXCLUDED.entries_held_since, entries_held_reason = EXCLUDED.entries_held_reason
 WHERE known.changed_at <= EXCLUDED.changed_at
""")
STANDING = text("""
-- user_brokers.standing: is_known is null while none is known
SELECT bool_or(user_broker_id = :user_broker_id) AS is_known,
       max(entries_held_since) FILTER (WHERE user_broker_id = :user_broker_id) AS held_since,
       max(entries_held_reason) FILTER (WHERE user_broker_id = :user_broker_id) AS held_reason
  FROM user_brokers
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a trade may be opened at a user broker.

    Attributes
    ----------
    is_known:
        Whether the user broker exists; None while no user broker is known.
    held_since, held_reason:
        Since when and why its entries are held; None: they are not.
    """

    is_known: bool | None
    held_since: datetime | None
    held_reason: str | None


class UserBrokerRepository:
    """User brokers of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def apply(self, events: Sequence[UserBrokerChanged]) -> None:
        """Apply the events in their order."""
        for event in events:
            self._connection.execute(APPLY, event.model_dump(exclude={"broker"}))

    def standing(self, user_broker_id: str) -> Standing:
        """Return whether a trade may be opened at a user broker."""
        (row,) = fetch(self._connection, STANDING, {"user_broker_id": user_broker_id})
        return Standing(*row)
