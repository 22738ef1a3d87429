"""Notifications of PostgreSQL: wait until a transaction with one for a channel commits."""

from __future__ import annotations

import math
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from psycopg import Connection as DriverConnection
from psycopg import Error as PsycopgError
from psycopg import sql
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import Unavailable


class Descriptor(Protocol):
    """Anything for the kernel to watch."""

    def fileno(self) -> int:
        """Return its descriptor."""
        ...


def notified(connection: DriverConnection[Any], limit_s: float, *until: Descriptor) -> bool:
    """Return True after a notification, False after `limit_s` seconds, or once one of `until` is readable.

    The kernel waits: in the last millisecond of its own time limit psycopg asks again without a pause, which costs more
    than all other work of a resting process.

    Raises
    ------
    psycopg.Error
        The connection is lost.
    """
    if has_notification(connection):
        return True
    readable = select.poll()
    for each in (connection, *until):
        readable.register(each, select.POLLIN)
    readable.poll(math.ceil(limit_s * 1000))
    return has_notification(connection)


def payloads(connection: DriverConnection[Any], limit_s: float) -> list[str]:
    """Return the payloads of all notifications received; wait at most `limit_s` seconds for a first one.

    Raises
    ------
    psycopg.Error
        The connection is lost.
    """
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    if received := _received(connection):
        return received
    readable.poll(math.ceil(limit_s * 1000))
    return _received(connection)


def _received(connection: DriverConnection[Any]) -> list[str]:
    return [each.payload for each in connection.notifies(timeout=0)]


def has_notification(connection: DriverConnection[Any]) -> bool:
    """Take a received notification, if there is one; do not wait.

    Raises
    ------
    psycopg.Error
        The connection is lost.
    """
    return any(True for _ in connection.notifies(timeout=0, stop_after=1))


class ListeningFailed(Unavailable):
    """The listening connection was lost; the next wait opens another."""

    code = "listening_failed"


class Listener:
    """One connection for listening to a channel; opened at the first wait. Not thread-safe.

    A notification may be lost with its connection: the caller looks for work, or is told again, after every wait. Do
    not use it through a pooler in transaction mode: it keeps no connection to listen on.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine = engine
        self._channel = channel
        self._connection: Connection | None = None

    def wait(self, timeout_s: float) -> bool:
        """Return True after a notification, False once the time is over.

        Raises
        ------
        ListeningFailed
            The database does not answer.
        """
        with self._driver() as driver:
            return notified(driver, timeout_s)

    def payloads(self, timeout_s: float) -> list[str]:
        """Return the payloads of all notifications received, in order; none once the time is over.

        Raises
        ------
        ListeningFailed
            The database does not answer.
        """
        with self._driver() as driver:
            return payloads(driver, timeout_s)

    def close(self) -> None:
        """Close the connection and so end the listening."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    @contextmanager
    def _driver(self) -> Iterator[DriverConnection[Any]]:
        try:
            driver = self._listening().connection.driver_connection
            assert driver is not None, "an open connection has its driver's"
            yield driver
        except (PsycopgError, SQLAlchemyError) as error:
            self.close()
            raise ListeningFailed(f"cannot listen to {self._channel}: {type(error).__name__}") from error

    def _listening(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection = connection
            driver = connection.connection.driver_connection
            assert driver is not None, "an open connection has its driver's"
            driver.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return self._connection
