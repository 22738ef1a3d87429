"""Repository of accounts that a trade may name, a projection of operations.controls.v1."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from shared.contracts.controls import UserBrokerChanged

APPLY = text("""
-- user_brokers.apply: an older event, read again, changes nothing
INSERT INTO user_brokers AS known (user_broker_id, status, changed_at)
VALUES (:user_broker_id, :status, :changed_at)
ON CONFLICT (user_broker_id) DO UPDATE SET status = EXCLUDED.status, changed_at = EXCLUDED.changed_at
 WHERE known.changed_at <= EXCLUDED.changed_at
""")
KNOWN = text("""
-- user_brokers.known: null while none is known
SELECT bool_or(user_broker_id = :user_broker_id) FROM user_brokers
""")


class UserBrokerRepository:
    """User brokers of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def apply(self, events: Sequence[UserBrokerChanged]) -> None:
        """Apply the events in their order."""
        for event in events:
            self._connection.execute(APPLY, event.model_dump(include={"user_broker_id", "status", "changed_at"}))

    def is_known(self, user_broker_id: str) -> bool | None:
        """Return whether the user broker exists; None while no user broker is known."""
        known: bool | None = self._connection.execute(KNOWN, {"user_broker_id": user_broker_id}).scalar_one()
        return known
