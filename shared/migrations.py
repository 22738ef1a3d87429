"""Running the two histories of `alembic/`: exit_qualification and trade_management."""

from __future__ import annotations

import io
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from alembic import command
from shared.db import open_engine
from shared.errors import ConfigurationError

EXIT_QUALIFICATION = "exit_qualification"
TRADE_MANAGEMENT = "trade_management"
HISTORIES = (EXIT_QUALIFICATION, TRADE_MANAGEMENT)

_SCRIPTS = Path(__file__).resolve().parent.parent / "alembic"
_ADVISORY_LOCK = 0x657869742D646462


def migrate(url: str, history: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring the schema named like `history` to `revision`, up or down, and return (revision before, after).

    Two migrations at once wait for each other. `url` must carry the migrator's role; ``base`` is below the
    first revision, an empty schema.

    Raises
    ------
    ConfigurationError
        No such history or revision.
    """
    config = _config(history)
    target = None if revision == "base" else _resolve(config, revision)
    engine = open_engine(url, history, application="exitflow-migrate")
    try:
        return _run(engine, config, history, target)
    finally:
        engine.dispose()


def _run(engine: Engine, config: Config, history: str, target: str | None) -> tuple[str | None, str | None]:
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {history}"))
        connection.commit()
        config.attributes["connection"] = connection
        context = MigrationContext.configure(connection, opts={"version_table_schema": history})
        before = context.get_current_revision()
        connection.commit()
        if _is_above(config, target, before):
            command.upgrade(config, str(target))
        elif target != before:
            command.downgrade(config, target or "base")
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _ADVISORY_LOCK})
        return before, target


def current_revision(url: str, history: str) -> str | None:
    """The revision that the schema stands at; None if it was never migrated."""
    engine = open_engine(url, history, application="exitflow-migrate")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table_schema": history})
            return context.get_current_revision()
    finally:
        engine.dispose()


def head_revision(history: str) -> str:
    """The newest revision of a history."""
    return str(ScriptDirectory.from_config(_config(history)).get_current_head())


def offline_sql(history: str, start: str | None, end: str) -> str:
    """The SQL that takes a schema from revision `start` (None: nothing) to `end`."""
    config = _config(history)
    buffer = io.StringIO()
    config.output_buffer = buffer
    command.upgrade(config, f"{start}:{end}" if start else end, sql=True)
    return buffer.getvalue()


def _config(history: str) -> Config:
    if history not in HISTORIES:
        raise ConfigurationError(f"no such history: {history}; there are {', '.join(HISTORIES)}")
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("version_locations", str(_SCRIPTS / history))
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
