"""Repository of brokers' answers to the access tokens of accounts."""

from __future__ import annotations

from sqlalchemy import Connection, text

MARK_REFUSED = text("""
-- user_brokers.mark_refused: an exit was sent back because of its token since the broker last took one
UPDATE user_brokers b SET token_refused_at = clock_timestamp()
 WHERE b.token_refused_at IS NULL
   AND EXISTS (SELECT FROM exit_intents i
                WHERE i.user_broker_id = b.user_broker_id AND i.status = 'APPROVED' AND i.deleted_at IS NULL
                  AND i.error_code = 'TOKEN_EXPIRED'
                  AND i.updated_at > coalesce(b.token_taken_at, '-infinity'))
""")
MARK_TAKEN = text("""
-- user_brokers.mark_taken
UPDATE user_brokers SET token_refused_at = NULL, token_taken_at = clock_timestamp()
 WHERE user_broker_id = :user_broker_id
""")


class AccountTokenRepository:
    """Access tokens of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def mark_refused(self) -> None:
        """Mark every account with an unsent exit after a refusal of its token."""
        self._connection.execute(MARK_REFUSED)

    def mark_taken(self, user_broker_id: str) -> None:
        """Record the acceptance of an account's token by the broker."""
        self._connection.execute(MARK_TAKEN, {"user_broker_id": user_broker_id})
