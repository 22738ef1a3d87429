"""Migrations as plain SQL; run as a program it writes the V010 file of ``docs/sql``."""

from __future__ import annotations

import re
from pathlib import Path

from shared.postgres.migrations import offline_sql, revision_grant
from shared.postgres.revisions import EXIT_QUALIFICATION

V010_FILE = Path(__file__).resolve().parents[2] / "docs" / "sql" / "V010__exit_intents_and_exit_episode_cooldown.sql"

_HEADER = """\
-- {history}: {start} to {end}, as one transaction; written from the migration, do not edit.
-- Run it as the migrator: psql -v ON_ERROR_STOP=1 --file=FILE "$DATABASE_URL"
"""
_EMPTY_STATEMENT = re.compile(r";(\s*;)+")


def migration_sql(history: str, start: str | None, end: str) -> str:
    """Return a psql script migrating a schema from revision `start` (None: empty) to `end`."""
    statements = _EMPTY_STATEMENT.sub(";", offline_sql(history, start, end)).strip()
    schema = "" if start else f"CREATE SCHEMA IF NOT EXISTS {history};\n"
    path = f"\\set ON_ERROR_STOP on\n{schema}SET search_path = {history};\n"
    header = _HEADER.format(history=history, start=start or "empty", end=end)
    return f"{header}\n{path}\n{statements}\n\n{revision_grant(history)};\n"


def v010_sql() -> str:
    """Return the script of V010."""
    return migration_sql(EXIT_QUALIFICATION, "V001", "V010")


def main() -> None:
    """Write the file."""
    V010_FILE.parent.mkdir(parents=True, exist_ok=True)
    V010_FILE.write_text(v010_sql())
    print(f"wrote {V010_FILE.name}")


if __name__ == "__main__":
    main()
