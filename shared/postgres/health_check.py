"""Report a database's state as a health condition of the process."""

from __future__ import annotations

import logging

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UndefinedTable

from shared.clock import SystemClock
from shared.postgres.connection_limits import KEEPALIVES, WATCH, LimitedConnection
from shared.postgres.failures import reason
from shared.postgres.poolers import preparing
from shared.postgres.revisions import head_revision, is_newer
from shared.runtime.health import Health
from shared.runtime.stopping import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

CONDITION = "database"
INTERVAL_S = 2.0
LOOKS_PER_DEADLINE = 4
RENEW_S = 60.0
"""A connection this old is replaced: the check must notice a server without room for new connections."""

STATE = sql.SQL("""
-- database_watch.state: the third column has the settings of the database and the role; they count for new connections
SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
       (SELECT coalesce(string_agg(s.setconfig::text, ' ' ORDER BY s.setdatabase, s.setrole), '')
          FROM pg_db_role_setting s
         WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))),
       (SELECT version_num FROM {revision} LIMIT 1),
       (SELECT held_because FROM {origin} WHERE held_because IS NOT NULL)
""")
"""One statement, since every process asks it all the time."""
REVISION = sql.SQL("""
-- database_watch.revision
SELECT version_num FROM {revision} LIMIT 1
""")


class DatabaseWatch:
    """Check a database every two seconds, and report the result as a health condition.

    Fine means: the database answers and accepts writes, its schema has the revision of this code or a newer one, and
    the relay does not hold its outbox. Migrations only expand, so a newer revision is only noted.

    Parameters
    ----------
    url:
        As the process itself reaches the database; the watch has one connection, beside the process's pool.
    history:
        The history of migrations for the schema of that name.
    settings:
        They have the condition's deadline; the watch asks at least four times within it.
    """

    def __init__(self, url: str, history: str, health: Health, settings: Settings, condition: str = CONDITION) -> None:
        self._url = url
        self._history = history
        tables = {"revision": "alembic_version", "origin": "outbox_origin"}
        named = {name: sql.Identifier(history, table) for name, table in tables.items()}
        self._state, self._revision = (each.format(**named).as_string() for each in (STATE, REVISION))
        self._health = health
        self._application = settings.process
        self._condition = condition
        self._preparing = preparing(pooler=settings.database_pooler, repeats_few=True)
        self._interval_s = min(INTERVAL_S, settings.health_deadline_s / LOOKS_PER_DEADLINE)
        self._clock = SystemClock()
        self._connection: LimitedConnection | None = None
        self._renew_at = 0.0
        self._settings = ""
        self._problem: str | None = None
        health.add(condition, settings.health_deadline_s)

    def run(self, stop: Stop) -> None:
        """Check until `stop` is set."""
        try:
            while not stop.is_set():
                self._look()
                stop.wait(self._interval_s)
        finally:
            self._disconnect()

    def _look(self) -> None:
        try:
            problem = self._ask(self._connected())
        except psycopg.Error as error:
            problem = f"does not answer ({reason(error)})"
            self._disconnect()
        if problem is None:
            self._health.fine(self._condition)
        else:
            self._health.problem(self._condition, problem)
        if problem != self._problem:
            log.warning("%s: %s", self._condition, problem or "at work again")
            self._problem = problem

    def _connected(self) -> LimitedConnection:
        if self._clock.monotonic() >= self._renew_at:
            self._disconnect()
        if self._connection is None:
            self._renew_at = self._clock.monotonic() + RENEW_S
            # Without `options` it may lead through a pooler as well. To plan the statement takes longer than to run it.
            self._connection = LimitedConnection.open(
                WATCH.answer_s,
                self._url,
                application_name=f"{self._application} watch",
                connect_timeout=WATCH.connect_s,
                **KEEPALIVES,
                **self._preparing,
                autocommit=True,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, connection: LimitedConnection) -> str | None:
        try:
            state = connection.execute(self._state).fetchone()
        except (UndefinedTable, InsufficientPrivilege):
            problem = self._unreadable(connection)
            if problem is None:
                raise
            return problem
        in_recovery, read_only, settings, revision, held_because = state or (False, False, "", None, None)
        if settings != self._settings:
            self._settings = settings
            self._disconnect()
            return self._ask(self._connected())
        if in_recovery:
            return "read-only: the server is a standby or still recovering"
        if read_only:
            return "read-only: transactions cannot write"
        return self._revision_problem(revision) or held_because

    def _unreadable(self, connection: LimitedConnection) -> str | None:
        """Return why the state cannot be read, as far as the schema's revision tells it."""
        try:
            row = connection.execute(self._revision).fetchone()
        except UndefinedTable:
            row = None
        except InsufficientPrivilege:
            return (
                f"this role cannot read the revision of schema {self._history}; this version needs "
                f"{head_revision(self._history)}: run `exitflow migrate up`"
            )
        return self._revision_problem(row and row[0])

    def _revision_problem(self, at: str | None) -> str | None:
        needed = head_revision(self._history)
        self._health.note(self._condition, None)
        if at == needed:
            return None
        if at is not None and is_newer(self._history, at):
            self._health.note(
                self._condition,
                f"schema {self._history} is at revision {at}, newer than {needed} of this version: replace the process",
            )
            return None
        return (
            f"schema {self._history} is at revision {at or 'none'}, this version needs {needed}: "
            "run `exitflow migrate up`"
        )
