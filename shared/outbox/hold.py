"""Hold of an outbox: its relay found events in Kafka unknown to the database, as after a restore.

While it lasts, nothing is published, consumed or sent to brokers, and every process with the database is not ready.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from shared.errors import ConfigurationError

NOT_HELD = "NOT EXISTS (SELECT FROM outbox_origin WHERE held_because IS NOT NULL)"
"""SQL condition, for statements on the outbox's schema."""

HELD_BECAUSE = text("""
-- outbox.held_because
SELECT held_because FROM outbox_origin WHERE held_because IS NOT NULL
""")


def refuse_while_held(connection: Connection) -> None:
    """Return if the outbox of the connection's schema is not held.

    Raises
    ------
    ConfigurationError
        It is held: act upon nothing until an operator has decided.
    """
    held_because = connection.execute(HELD_BECAUSE).scalar_one_or_none()
    if held_because is not None:
        raise ConfigurationError(held_because)
