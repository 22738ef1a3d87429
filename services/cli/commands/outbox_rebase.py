"""`exitflow outbox rebase` and `exitflow outbox partitions`: commands on the outboxes' databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
import typer

from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.database_urls import chosen_databases, service_databases
from services.cli.support.output import show_json, show_table
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.restore.rebase import Permissions, State, inspect, rebase
from services.outbox_relay.retention.partitions import Partition, Partitions
from shared.errors import ConfigurationError, Conflict, Unavailable, first_line
from shared.postgres.connection_limits import KEEPALIVES, TOOLS
from shared.postgres.engine import startup_options
from shared.postgres.poolers import explain_pooler
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.postgres.roles import EXIT, RELAY, TRADE
from shared.settings import load_settings


@dataclass(frozen=True)
class OutboxDatabase:
    """An outbox: its schema and the roles of its services."""

    name: str
    schema: str
    services: tuple[str, ...]


OUTBOXES = (
    OutboxDatabase("exit", EXIT_QUALIFICATION, (EXIT, RELAY)),
    OutboxDatabase("trade", TRADE_MANAGEMENT, (TRADE, RELAY)),
)
_REBASE_COLUMNS = ("outbox", "done", "events", "unpublished", "written_here", "origin", "server")
_PARTITION_COLUMNS = ("outbox", "name", "state", "from", "until", "events", "bytes", "largest_xid", "kept_because")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `exitflow outbox`."""
    app.command("partitions", epilog=examples("outbox partitions", "outbox partitions --data-dir ./stack --json"))(
        partitions
    )
    app.command("rebase", epilog=examples("outbox rebase --dry-run", "outbox rebase", "outbox rebase --adopt"))(
        rebase_command
    )


def partitions(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the partitions of the outboxes and the reason for keeping each.

    Reads EXITFLOW_EXIT_DATABASE_URL, EXITFLOW_TRADE_DATABASE_URL and EXITFLOW_RELAY_RETENTION_DAYS; set the latter as
    for the relay.
    """
    databases, retention_days = service_databases(data_dir), load_settings().relay_retention_days
    rows = []
    for outbox in OUTBOXES:
        with outbox_connection(databases, outbox) as connection:
            catalogue = Partitions(connection, retention_days).catalogue()
            rows += [_partition_row(outbox, part, retention_days) for part in catalogue]
    _show(_PARTITION_COLUMNS, rows, as_json)


def _partition_row(outbox: OutboxDatabase, part: Partition, retention_days: int) -> dict[str, Any]:
    bounds = (at.isoformat() if at else None for at in (part.from_at, part.until_at))
    facts = (outbox.name, part.name, part.state, *bounds, part.events, part.bytes, part.largest_xid)
    return dict(zip(_PARTITION_COLUMNS, (*facts, _why_kept(part, retention_days)), strict=True))


def _why_kept(part: Partition, retention_days: int) -> str:
    if part.state == "default":
        return "takes rows without a partition"
    if not part.over:
        return "its day is not over"
    if part.held_by:
        return f"unpublished in shards {', '.join(map(str, part.held_by))}"
    if part.old:
        return "goes with the next round"
    return f"kept for {retention_days} days" if retention_days else "kept for ever"


def rebase_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show the effects.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Go on although services are connected.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="After pg_upgrade: the numbers are right, the server is a new one.")
    ] = False,
    publish_new: Annotated[
        bool,
        typer.Option("--publish-new", help="Publish all events written since the restore, again if need be."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make restored outboxes publishable: transaction numbers of a dump are invalid on another server.

    Run it after pg_restore and before any service starts, with the migrator's credentials as for `exitflow migrate`.
    Published events stay published; the unpublished ones are published next, in order. An outbox already using this
    server's numbers is unchanged, so the command can be repeated.
    """
    allowed = Permissions(force=force, publish_new=publish_new, adopt=adopt)
    databases = chosen_databases(data_dir)
    rows = [_rebased(databases, outbox, allowed, dry_run) for outbox in OUTBOXES]
    _show(_REBASE_COLUMNS, rows, as_json)


def _rebased(
    databases: Mapping[str, str], outbox: OutboxDatabase, allowed: Permissions, dry_run: bool
) -> dict[str, Any]:
    with outbox_connection(databases, outbox) as connection:
        try:
            if dry_run:
                state = inspect(connection, publish_new=allowed.publish_new)
            else:
                has_signals = outbox.schema == EXIT_QUALIFICATION
                state = rebase(connection, outbox.services, allowed, has_signals=has_signals)
        except psycopg.errors.LockNotAvailable:
            raise Conflict(
                f"a transaction is still open on the outbox {outbox.name}. Stop the services first."
            ) from None
    done = (
        _what(state, allowed.adopt) if not dry_run or not state.is_needed else f"would be {_what(state, allowed.adopt)}"
    )
    facts = (outbox.name, done, state.events, state.unpublished, state.new, str(state.origin), str(state.server))
    return dict(zip(_REBASE_COLUMNS, facts, strict=True))


def _what(state: State, adopt: bool) -> str:
    if not state.is_needed:
        return "not needed"
    return "adopted" if adopt else "rebased"


@contextmanager
def outbox_connection(databases: Mapping[str, str], outbox: OutboxDatabase) -> Iterator[Connection]:
    """Yield a connection to the database of an outbox.

    Raises
    ------
    Unavailable
        PostgreSQL does not answer.
    ConfigurationError
        The schema is too old, or the credentials do not suffice.
    """
    options = startup_options({"search_path": outbox.schema, "timezone": "UTC", **TOOLS.server_settings()})
    try:
        with explain_pooler():
            connection: Connection = psycopg.connect(
                databases[outbox.schema],
                options=options,
                application_name="exitflow-outbox",
                autocommit=True,
                connect_timeout=TOOLS.connect_s,
                **KEEPALIVES,
            )
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not answer: {first_line(error)}") from None
    with closing(connection):
        try:
            yield connection
        except psycopg.errors.UndefinedTable:
            raise ConfigurationError(f"{outbox.schema} is below its newest revision: exitflow migrate up") from None
        except psycopg.errors.InsufficientPrivilege:
            raise ConfigurationError("this needs the migrator's credentials, as exitflow migrate does") from None


def _show(columns: tuple[str, ...], rows: list[dict[str, Any]], as_json: bool) -> None:
    show_json(rows) if as_json else show_table(columns, (list(row.values()) for row in rows))
