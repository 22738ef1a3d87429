"""The files of ``docs/sql``: V010 from its migration, both schemas as a migrated database has them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.postgres.postgres import EmbeddedPostgres
from deploy.local.postgres.programs import postgres_programs
from deploy.local.postgres.unix_account import make_passable, server_account
from deploy.local.processes.ports import free_port
from shared.errors import ConfigurationError
from shared.ids import new_secret
from shared.postgres import roles
from shared.postgres.migration_sql import migration_sql
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "sql"
V010_FILE = FOLDER / "V010__exit_intents_and_exit_episode_cooldown.sql"

DUMP_LIMIT_S = 60
_HEADER = """\
-- Schema {history} at its newest revision; written by `make sql` from a migrated database, do not edit.
-- Partitions are left out: the relay makes and drops them.
"""
_NOISE = re.compile(
    r"^(--.*|SET .*;|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*|CREATE SCHEMA .*)\n", re.MULTILINE
)
"""Lines of pg_dump about the dump and not the schema."""


def v010_sql() -> str:
    """Return the script of V010."""
    return migration_sql(EXIT_QUALIFICATION, "V001", "V010")


def current_file(history: str) -> Path:
    """Return the file of a schema as it is today."""
    return FOLDER / f"{history}_current.sql"


def current_sql(admin_url: str, history: str) -> str:
    """Return the statements for making a migrated database's schema, as written by pg_dump.

    Raises
    ------
    ConfigurationError
        pg_dump failed.
    """
    program = postgres_programs(None) / "pg_dump"
    options = ["--schema-only", "--no-owner", f"--schema={history}", f"--exclude-table={history}.*_p[0-9]*"]
    done = subprocess.run(
        [str(program), *options, f"--dbname={admin_url}"],
        capture_output=True,
        text=True,
        timeout=DUMP_LIMIT_S,
        check=False,
        env={"PATH": os.environ.get("PATH", "")},
    )
    if done.returncode != 0:
        raise ConfigurationError(f"pg_dump failed: {done.stderr.strip()}")
    statements = re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", done.stdout)).strip()
    return f"{_HEADER.format(history=history)}\n{statements}\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    V010_FILE.write_text(v010_sql())
    with _migrated_database() as admin_url:
        for history in HISTORIES:
            current_file(history).write_text(current_sql(admin_url, history))
    print(f"wrote {', '.join(file.name for file in (V010_FILE, *map(current_file, HISTORIES)))}")


@contextmanager
def _migrated_database() -> Iterator[str]:
    """Run a temporary server while inside; yield the URL of its administrator."""
    with tempfile.TemporaryDirectory(prefix="exitflow-sql-") as name:
        directory = Path(name)
        make_passable(directory, server_account())
        server = EmbeddedPostgres(directory, free_port(name), new_secret(), durable=False)
        server.start()
        try:
            passwords = {role: new_secret() for role in roles.ROLES}
            roles.create_roles(server.admin_url, passwords)
            migrator_url = roles.with_role(server.admin_url, roles.MIGRATOR, passwords[roles.MIGRATOR])
            for history in HISTORIES:
                migrate(migrator_url, history)
            yield server.admin_url
        finally:
            server.stop()


if __name__ == "__main__":
    main()
