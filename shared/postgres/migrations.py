"""Running the two histories of `alembic/`: exit_qualification and trade_management."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from alembic import command
from shared.errors import ConfigurationError, Unavailable
from shared.postgres.connection_limits import SCHEMA_CHANGES
from shared.postgres.engine import open_engine
from shared.postgres.poolers import check_session
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES, SCRIPTS, TRADE_MANAGEMENT
from shared.postgres.roles import EXIT, RELAY, TRADE

_ADVISORY_LOCK = 0x657869742D646462
_READERS = {EXIT_QUALIFICATION: (EXIT, RELAY), TRADE_MANAGEMENT: (TRADE, RELAY)}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LockWaits:
    """Lock waits of a migration.

    Other transactions queue behind a migration's lock request. Each attempt is therefore short, and the pause lets them
    proceed.
    """

    timeout_s: float = 2.0
    tries: int = 30
    pause_s: float = 2.0


def migrate(
    url: str,
    history: str,
    revision: str = "head",
    *,
    waits: LockWaits | None = None,
    report: Callable[[str], None] = log.warning,
) -> tuple[str | None, str | None]:
    """Bring the schema named like `history` to `revision`, up or down, and return (revision before, after).

    Concurrent migrations wait for each other. `url` must carry the migrator's role; ``base`` is below the first
    revision, an empty schema. Each revision is one transaction: an attempt after a lock time-out continues at the first
    missing revision. `report` receives each such time-out.

    Raises
    ------
    ConfigurationError
        No such history or revision, or the URL leads to a pooler.
    Unavailable
        A lock could not be had within the tries of `waits`.
    """
    config = _config(history)
    target = None if revision == "base" else _resolve(config, revision)
    waits = waits or LockWaits()
    migration = _Migration(url, history, config, target, waits.timeout_s)
    tries = Retrying(
        retry=retry_if_exception(_is_lock_timeout),
        stop=stop_after_attempt(waits.tries),
        wait=wait_fixed(waits.pause_s),
        before_sleep=lambda state: report(_waiting(history, state, waits)),
        reraise=True,
    )
    try:
        tries(migration.try_once)
    except OperationalError as error:
        if not _is_lock_timeout(error):
            raise
        raise Unavailable(
            f"{history}: a lock was not free in {waits.tries} tries of {waits.timeout_s:g} s; end the transaction "
            "that holds it (pg_stat_activity, pg_locks) and migrate again"
        ) from error
    return migration.found[0], target


@dataclass
class _Migration:
    """The way of a schema to its target; None is below the first revision.

    Attributes
    ----------
    found:
        Revision at the begin of each attempt that got so far.
    """

    url: str
    history: str
    config: Config
    target: str | None
    lock_timeout_s: float
    found: list[str | None] = field(default_factory=list)

    def try_once(self) -> None:
        """Go on from the present revision to the target.

        Raises
        ------
        OperationalError
            A lock was not free in time; the revisions before stay.
        """
        limits = replace(SCHEMA_CHANGES, lock_ms=int(self.lock_timeout_s * 1000))
        engine = open_engine(self.url, self.history, application="exitflow-migrate", limits=limits)
        try:
            with engine.connect() as connection:
                self._run(connection)
        finally:
            engine.dispose()

    def _run(self, connection: Connection) -> None:
        check_session(str(connection.execute(text("SELECT current_setting('search_path')")).scalar()), self.history)
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {self.history}"))
        connection.commit()
        before = _revision(connection, self.history)
        self.found.append(before)
        connection.commit()
        self._move(connection, before)
        if self.target is not None:
            connection.execute(text(revision_grant(self.history)))
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _ADVISORY_LOCK})

    def _move(self, connection: Connection, before: str | None) -> None:
        self.config.attributes["connection"] = connection
        if _is_above(self.config, self.target, before):
            command.upgrade(self.config, str(self.target))
        elif self.target != before:
            command.downgrade(self.config, self.target or "base")


def _is_lock_timeout(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and isinstance(error.orig, LockNotAvailable | DeadlockDetected)


def _waiting(history: str, state: RetryCallState, waits: LockWaits) -> str:
    return (
        f"{history}: a lock is held by another transaction; try {state.attempt_number} of {waits.tries}, "
        f"again in {waits.pause_s:g} s"
    )


def revision_grant(history: str) -> str:
    """Return the GRANT letting services read the schema's revision."""
    return f"GRANT SELECT ON {history}.alembic_version TO {', '.join(_READERS[history])}"


def current_revision(url: str, history: str) -> str | None:
    """Return the schema's revision; None if it was never migrated."""
    engine = open_engine(url, history, application="exitflow-migrate")
    try:
        with engine.connect() as connection:
            return _revision(connection, history)
    finally:
        engine.dispose()


def _revision(connection: Connection, history: str) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table_schema": history}).get_current_revision()


def offline_sql(history: str, start: str | None, end: str) -> str:
    """Return the SQL migrating a schema from revision `start` (None: empty) to `end`."""
    config = _config(history)
    buffer = io.StringIO()
    config.output_buffer = buffer
    command.upgrade(config, f"{start}:{end}" if start else end, sql=True)
    return buffer.getvalue()


def _config(history: str) -> Config:
    if history not in HISTORIES:
        raise ConfigurationError(f"no such history: {history}; there are {', '.join(HISTORIES)}")
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))  # revisions import the package `frozen`
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("version_locations", str(SCRIPTS / history))
    config.set_main_option("path_separator", "newline")
    config.attributes["history"] = history
    return config


def _resolve(config: Config, revision: str) -> str:
    scripts = ScriptDirectory.from_config(config)
    found = scripts.get_current_head() if revision == "head" else revision
    known = [script.revision for script in scripts.walk_revisions()]
    if found not in known:
        raise ConfigurationError(f"no such revision: {revision}; there are {', '.join(reversed(known))}")
    return str(found)


def _is_above(config: Config, target: str | None, current: str | None) -> bool:
    order = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    height = {None: -1} | {revision: n for n, revision in enumerate(order)}
    return height[target] > height[current]
