"""`exitflow migrate`: roles, up, down, status, sql."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.database_urls import administered_urls, chosen_databases, migrator_url, role_passwords
from services.cli.support.output import show_json, show_table
from shared.postgres.migration_sql import migration_sql
from shared.postgres.migrations import LockWaits, current_revision, migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, HISTORIES, TRADE_MANAGEMENT, head_revision
from shared.postgres.roles import ROLES, create_roles
from shared.settings import load_settings

app = new_app(
    "Migrate the databases.\n\nEXITFLOW_EXIT_DATABASE_URL and EXITFLOW_TRADE_DATABASE_URL say where; "
    "the migrator's role is used if EXITFLOW_MIGRATOR_ROLE_PASSWORD is set, else the role of the URL."
)


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `migrate` to a panel of the help."""
    root.add_typer(app, name="migrate", rich_help_panel=panel)


class History(StrEnum):
    """The schema of a migration history."""

    EXIT_QUALIFICATION = EXIT_QUALIFICATION
    TRADE_MANAGEMENT = TRADE_MANAGEMENT


_WAITS = LockWaits()

LockTimeout = Annotated[
    float,
    typer.Option("--lock-timeout", min=0.1, help="Seconds of one try to get a lock; others queue behind it."),
]
LockTries = Annotated[int, typer.Option("--lock-tries", min=1, help="Tries to get each lock.")]
OneHistory = Annotated[History | None, typer.Option("--history", help="Only this one; both by default.")]


@app.command("roles", epilog=examples("migrate roles"))
def roles(as_json: AsJson = False) -> None:
    """Make the roles, or renew their passwords; needs EXITFLOW_ADMIN_DATABASE_URL and the four role passwords."""
    settings = load_settings()
    passwords = role_passwords(settings)
    for url in administered_urls(settings):
        create_roles(url, passwords)
    show_json({"roles": list(ROLES)}) if as_json else print(f"roles are ready: {', '.join(ROLES)}")


@app.command("up", epilog=examples("migrate up", "migrate up --history exit_qualification --to V010"))
def up(
    history: OneHistory = None,
    to: Annotated[str, typer.Option(help="Revision to stop at.")] = "head",
    lock_timeout_s: LockTimeout = _WAITS.timeout_s,
    lock_tries: LockTries = _WAITS.tries,
    as_json: AsJson = False,
) -> None:
    """Migrate up to a revision, the newest by default."""
    _move(history, to, LockWaits(lock_timeout_s, lock_tries), as_json=as_json)


@app.command("down", epilog=examples("migrate down --history exit_qualification --to V001 --yes"))
def down(
    to: Annotated[str, typer.Option(help="Revision to stop at; base is below the first.")],
    history: OneHistory = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the data of the revisions above is lost.")] = False,
    lock_timeout_s: LockTimeout = _WAITS.timeout_s,
    lock_tries: LockTries = _WAITS.tries,
    as_json: AsJson = False,
) -> None:
    """Migrate down. The data of the revisions above is lost."""
    which = ", ".join(_chosen(history))
    if not yes:
        typer.confirm(f"migrate {which} down to {to}, losing the data above it?", abort=True)
    _move(history, to, LockWaits(lock_timeout_s, lock_tries), as_json=as_json)


@app.command("status", epilog=examples("migrate status", "migrate status --json"))
def status(history: OneHistory = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the revision of each schema and the newest one there is; exit status 1 if they differ.

    Without databases in the settings, of the local stack.
    """
    urls = chosen_databases(data_dir, _chosen(history))
    rows = [
        {"history": name, "at": current_revision(url, name), "head": head_revision(name)} for name, url in urls.items()
    ]
    show_json(rows) if as_json else show_table(("history", "at", "head"), (list(row.values()) for row in rows))
    raise typer.Exit(0 if all(row["at"] == row["head"] for row in rows) else 1)


@app.command(
    "sql",
    epilog=examples(
        "migrate sql --history exit_qualification --from V001 --to V010",
        "migrate sql --history trade_management > trade_management.sql",
    ),
)
def sql(
    history: Annotated[History, typer.Option("--history", help="History of the exit or the trade schema.")],
    start: Annotated[str | None, typer.Option("--from", help="Present revision of the schema; none: empty.")] = None,
    to: Annotated[str, typer.Option(help="Revision to stop at.")] = "head",
) -> None:
    """Print the SQL of a migration, for psql."""
    print(migration_sql(history, start, to), end="")


def _move(history: History | None, to: str, waits: LockWaits, *, as_json: bool) -> None:
    settings = load_settings()
    moved = []
    for name in _chosen(history):
        before, after = migrate(migrator_url(settings, name), name, to, waits=waits, report=_to_standard_error)
        moved.append({"history": name, "from": before, "to": after})
        if not as_json:
            print(f"{name}: {before or 'empty'} → {after or 'empty'}")
    if as_json:
        show_json(moved)


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _chosen(history: History | None) -> list[str]:
    return list(HISTORIES) if history is None else [history.value]
