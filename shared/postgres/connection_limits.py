"""Time-outs of database connections: one profile for each use, and a connection to enforce them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import psycopg
from psycopg import adapt
from psycopg._preparing import PrepareManager
from psycopg.abc import RV, PQGen, Transformer
from psycopg.errors import _WaitTimeout  # the one public sign of a time-out of `Connection.wait`
from psycopg.pq import TransactionStatus

from shared.postgres.settled_pipeline import Reply, SettledPipeline

KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""The kernel gives a vanished peer up: 11 s after it fell silent, 10 s after unanswered data."""


MARGIN_S = 2.0
"""Time for a working server to end a statement itself, before the client gives it up."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Maximum waits on a connection.

    A frozen server or a middlebox dropping packets may still acknowledge data at kernel level. Only `answer_s`,
    enforced by the client, ends such a wait.

    Attributes
    ----------
    connect_s:
        Until a connection is open, for each address.
    lock_ms, statement_ms, idle_in_transaction_ms:
        The server's time-outs; 0: none.
    answer_s:
        Until a statement is answered, as the client sees it; None: no limit. Longer than `statement_ms`: a
        server at work ends a statement itself.
    pool_s:
        Until a connection of the pool is free.
    client_check_ms:
        How often the server looks whether the client of a running statement is still there.
    """

    connect_s: int = 5
    lock_ms: int = 0
    statement_ms: int = 0
    idle_in_transaction_ms: int = 60_000
    answer_s: float | None = None
    pool_s: float = 5.0
    client_check_ms: int = 5_000

    def within(self, statement_s: float | None) -> Self:
        """Return these limits with another statement limit and its derived waits; None keeps them."""
        if statement_s is None:
            return self
        statement_ms = int(statement_s * 1000)
        return replace(
            self, statement_ms=statement_ms, lock_ms=min(self.lock_ms, statement_ms), answer_s=statement_s + MARGIN_S
        )

    def server_settings(self) -> dict[str, str]:
        """Return the limits enforced by the server, as settings."""
        return {
            "lock_timeout": f"{self.lock_ms}ms",
            "statement_timeout": f"{self.statement_ms}ms",
            "idle_in_transaction_session_timeout": f"{self.idle_in_transaction_ms}ms",
            "client_connection_check_interval": f"{self.client_check_ms}ms",
        }


REQUESTS = ConnectionLimits(connect_s=3, lock_ms=5_000, statement_ms=8_000, answer_s=10, pool_s=3)
"""HTTP requests: a client waits, and its own time-out is seldom over 15 s."""

LOOPS = ConnectionLimits(connect_s=5, lock_ms=5_000, statement_ms=10_000, answer_s=12)
"""Worker loops: a step may load much at once; their health is watched elsewhere."""

WATCH = ConnectionLimits(connect_s=3, lock_ms=1_000, statement_ms=2_000, answer_s=3)
"""The watch on a database's health."""

TOOLS = ConnectionLimits(connect_s=5, lock_ms=10_000)
"""Commands of an operator, who can end them."""

SCHEMA_CHANGES = ConnectionLimits(connect_s=5, lock_ms=2_000, client_check_ms=1_000)
"""Migrations: without a limit on their work, but with a short wait for locks, as others queue behind it."""


class NoAnswer(psycopg.OperationalError):
    """The server did not answer within the connection's limit; the connection is closed."""


WAKE_S = 1.0
"""How often a wait for the server lets signals be handled.

psycopg does so ten times a second, and a listening thread pays more for it than for its notifications.
"""
PREPARED_MAX = 1000
"""More than a process has statements: the driver's limit of 100 makes it prepare some of them again and again."""


class LimitedConnection(psycopg.Connection[Any]):
    """A connection with a limit on every wait for the server, whose prepared statements survive a rollback."""

    answer_s: float | None = None
    _transformer: Transformer | None = None

    @classmethod
    def open(cls, answer_s: float | None, *args: Any, **kwargs: Any) -> Self:
        """Connect as `psycopg.connect` does; later waits for the server are limited to `answer_s`."""
        connection = cls.connect(*args, **kwargs)
        connection.answer_s = answer_s
        connection.prepared_max = PREPARED_MAX
        return connection

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Send statements without waiting for each; at the end wait if something is unanswered."""
        self._check_connection_ok()
        if self._pipeline is None:
            self._pipeline = SettledPipeline(self)
        with super().pipeline() as pipeline:
            yield pipeline

    def send_statement(self, query: bytes, values: Sequence[Any]) -> Reply:
        """Send a statement with ``$1``, ``$2``, … within a pipeline; errors as of `SettledPipeline.send_statement`."""
        assert isinstance(self._pipeline, SettledPipeline)
        if self._transformer is None:
            self._transformer = adapt.Transformer(self)
        return self._pipeline.send_statement(query, values, self._transformer)

    def send_commit(self) -> None:
        """Send the commit within a pipeline, without the wait of `commit` for its answer."""
        with self.lock:
            self.wait(self._exec_command(b"COMMIT"))

    def send_begin(self) -> None:
        """Send the begin of a transaction within a pipeline."""
        with self.lock:
            self.wait(self._exec_command(self._get_tx_start_command()))

    def rollback(self) -> None:
        """Roll back. Without an error in the transaction, statements stay prepared.

        psycopg forgets them all, because an object made in the transaction may be gone. Every transaction without
        writes ends with a rollback, and planning a statement again takes longer than executing it. After an error
        they are forgotten: a prepared statement may not fit a changed table.
        """
        if self.pgconn.transaction_status != TransactionStatus.INTRANS:
            super().rollback()
            return
        prepared, self._prepared = self._prepared, PrepareManager()
        try:
            super().rollback()
        finally:
            self._prepared = prepared

    def _start_query(self) -> PQGen[None]:
        """Begin a transaction if none has begun; within a pipeline, without the wait of psycopg for its answer."""
        if self._pipeline is None or self.autocommit or self.pgconn.transaction_status != TransactionStatus.IDLE:
            yield from super()._start_query()
        else:
            yield from self._exec_command(self._get_tx_start_command())

    def wait(self, gen: PQGen[RV], interval: float = WAKE_S, timeout: float | None = None) -> RV:
        """Wait as psycopg does, and close the connection once its limit has passed.

        Raises
        ------
        NoAnswer
            The limit has passed.
        """
        if timeout is not None or self.answer_s is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_s)
        except _WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer(f"no answer within {self.answer_s:g} s") from None
