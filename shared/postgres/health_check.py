"""Report a database's state as a health condition of the process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from shared.clock import Clock, SystemClock
from shared.postgres.connection_limits import KEEPALIVES, WATCH, LimitedConnection
from shared.postgres.failures import reason
from shared.postgres.revisions import head_revision, is_newer
from shared.runtime.health import Health

log = logging.getLogger(__name__)

CONDITION = "database"
INTERVAL_S = 2.0
LOOKS_PER_DEADLINE = 4
RENEW_S = 10.0
"""A connection this old is replaced: what a database or role is set to counts for new connections alone."""
STOP_LIMIT_S = 5.0

STATE = """
-- database_watch.state
SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'
"""
REVISION = sql.SQL("""
-- database_watch.revision
SELECT version_num FROM {} LIMIT 1
""")


@contextmanager
def watch_database(
    url: str, history: str, health: Health, *, deadline_s: float, condition: str = CONDITION
) -> Iterator[None]:
    """Check the database every two seconds while inside, and report the result as `condition`.

    Fine means: the database answers, accepts writes, and its schema has the revision required by this code or a newer
    one, because migrations only expand. A newer revision is noted.

    Parameters
    ----------
    url:
        As the process itself reaches the database; the watch has one connection, beside the process's pool.
    history:
        The history of migrations that made the schema of that name.
    deadline_s:
        Of the condition; the watch asks at least four times within it.
    """
    health.add(condition, deadline_s)
    watch = _DatabaseWatch(url, history, health, condition, min(INTERVAL_S, deadline_s / LOOKS_PER_DEADLINE))
    thread = threading.Thread(target=watch.run, name=f"watch-{condition}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.stop.set()
        thread.join(STOP_LIMIT_S)


@dataclass
class _DatabaseWatch:
    url: str = field(repr=False)
    history: str
    health: Health
    condition: str
    interval_s: float
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=SystemClock)
    _connection: LimitedConnection | None = None
    _renew_at: float = 0.0
    _problem: str | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._look()
                self.stop.wait(self.interval_s)
        finally:
            self._disconnect()

    def _look(self) -> None:
        try:
            problem = self._ask(self._connected())
        except psycopg.Error as error:
            problem = f"does not answer ({reason(error)})"
            self._disconnect()
        if problem is None:
            self.health.fine(self.condition)
        else:
            self.health.problem(self.condition, problem)
        if problem != self._problem:
            log.warning("%s: %s", self.condition, problem or "at work again")
            self._problem = problem

    def _connected(self) -> LimitedConnection:
        if self.clock.monotonic() >= self._renew_at:
            self._disconnect()
        if self._connection is None:
            self._renew_at = self.clock.monotonic() + RENEW_S
            # Without `options` and without prepared statements it may lead through a pooler as well.
            self._connection = LimitedConnection.open(
                WATCH.answer_s,
                self.url,
                application_name="exitflow-watch",
                connect_timeout=WATCH.connect_s,
                **KEEPALIVES,
                prepare_threshold=None,
                autocommit=True,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, connection: LimitedConnection) -> str | None:
        in_recovery, read_only = connection.execute(STATE).fetchone() or (False, False)
        if in_recovery:
            return "read-only: the server is a standby or still recovering"
        if read_only:
            return "read-only: transactions cannot write"
        return self._revision_problem(connection)

    def _revision_problem(self, connection: LimitedConnection) -> str | None:
        needed = head_revision(self.history)
        try:
            row = connection.execute(REVISION.format(sql.Identifier(self.history, "alembic_version"))).fetchone()
        except psycopg.errors.UndefinedTable:
            row = None
        except psycopg.errors.InsufficientPrivilege:
            return (
                f"this role cannot read the revision of schema {self.history}; this version needs {needed}: "
                "run `exitflow migrate up`"
            )
        at = str(row[0]) if row else None
        self.health.note(self.condition, None)
        if at == needed:
            return None
        if at is not None and is_newer(self.history, at):
            self.health.note(
                self.condition,
                f"schema {self.history} is at revision {at}, newer than {needed} of this version: replace the process",
            )
            return None
        return (
            f"schema {self.history} is at revision {at or 'none'}, this version needs {needed}: "
            "run `exitflow migrate up`"
        )
