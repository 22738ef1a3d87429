"""Databases dumped and restored by PostgreSQL's own programs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import LiteralString

import psycopg

from deploy.local.postgres.programs import postgres_programs
from deploy.local.postgres.unix_account import server_account
from deploy.local.processes.child import clean_environment
from tests.support.servers import Database

GIVE_NUMBERS: LiteralString = """
DO $$ BEGIN
  FOR n IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
END $$
"""


def dump_and_restore(source: Database, target: Database, directory: Path) -> None:
    """Bring all of `source` into the empty database `target`."""
    dump = directory / "exitflow.dump"
    _run("pg_dump", "--format=custom", f"--file={dump}", source.admin_url)
    _run("pg_restore", "--exit-on-error", f"--dbname={target.admin_url}", str(dump))


def next_xid(database: Database) -> int:
    """The server's next transaction number."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        row = admin.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])


def raise_next_xid(database: Database, beyond: int) -> None:
    """Let the server give numbers until the next is larger than `beyond`."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        while next_xid(database) <= beyond:
            admin.execute(GIVE_NUMBERS)


def _run(program: str, *arguments: str) -> None:
    command = [str(postgres_programs(server_account()) / program), *arguments]
    subprocess.run(command, check=True, env=clean_environment(), timeout=60)
