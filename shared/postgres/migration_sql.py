"""Migrations as plain SQL."""

from __future__ import annotations

import re

from shared.postgres.migrations import offline_sql, revision_grant

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
