"""The relay's side of the signal of commits: rest until a writer notifies."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from services.outbox_relay.database.connection import Connection
from shared.clock import Clock
from shared.outbox.commit_signal import CHANNEL_PREFIX, LOCK
from shared.postgres.notifications import has_notification, notified
from shared.runtime.stopping import Stop

_TRY_LOCK: LiteralString = f"""
-- outbox.try_to_rest: only while no writer is between its events and its commit, and no other relay rests
SELECT pg_try_advisory_lock({LOCK})
"""
_UNLOCK: LiteralString = f"""
-- outbox.end_rest
SELECT pg_advisory_unlock({LOCK})
"""


class CommitSignal:
    """Signal of the commits of one outbox, on the connection of the relay's session.

    Attributes
    ----------
    is_armed:
        Whether writers notify this relay.
    """

    def __init__(self, connection: Connection, schema: str, clock: Clock) -> None:
        self._connection = connection
        self._channel = sql.Identifier(CHANNEL_PREFIX + schema)
        self._clock = clock
        self.is_armed = False

    def arm(self) -> None:
        """Let writers notify from now on, if possible; the caller must look once more for commits up to now."""
        if self.is_armed:
            return
        ((self.is_armed,),) = self._connection.execute(_TRY_LOCK).fetchall()
        if self.is_armed:
            self._connection.execute(sql.SQL("LISTEN {}").format(self._channel))

    def disarm(self) -> None:
        """Let writers notify no more."""
        if self.is_armed:
            self.is_armed = False
            self._connection.execute(_UNLOCK)
            self._connection.execute(sql.SQL("UNLISTEN {}").format(self._channel))

    def has_come(self) -> bool:
        """Return whether a commit with events was notified since the last question or wait.

        Raises
        ------
        psycopg.Error
            The connection is lost.
        """
        return has_notification(self._connection)

    def wait(self, limit_s: float, stop: Stop) -> bool:
        """Return True after a commit with events, False after `limit_s` seconds or once `stop` is set.

        Raises
        ------
        psycopg.Error
            The connection is lost.
        """
        ends_at = self._clock.monotonic() + limit_s
        while not stop.is_set() and (left_s := ends_at - self._clock.monotonic()) > 0:
            if notified(self._connection, left_s, stop):
                return True
        return False
