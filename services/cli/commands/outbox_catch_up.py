"""`exitflow outbox catch-up`: continue after a restore, behind Kafka's sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from services.cli.commands.outbox_rebase import OUTBOXES, OutboxDatabase, outbox_connection
from services.cli.support.command_line import AsJson, DataDir, ReasonUnlessDryRun, examples, needed_reason
from services.cli.support.connection import Target
from services.cli.support.database_urls import service_databases
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import note, show_json, show_table
from services.outbox_relay.database.connection import Connection
from services.outbox_relay.restore.catch_up import Comparison, catch_up, compare
from services.outbox_relay.restore.log_reader import read_records
from services.outbox_relay.restore.numbered_events import Authorship, published_topics
from shared.clock import SystemClock
from shared.kafka.clients import open_admin
from shared.kafka.rights import OPERATOR
from shared.settings import Settings
from shared.wording import plural

READ_LIMIT_S = 600.0
_COLUMNS = ("outbox", "topic", "key", "here", "kafka")


def add_to(app: typer.Typer) -> None:
    """Add the command to the group `exitflow outbox`."""
    app.command(
        "catch-up",
        epilog=examples("outbox catch-up --dry-run", 'outbox catch-up --reason "backup of 02:00 restored"'),
    )(catch_up_command)


def catch_up_command(
    reason: ReasonUnlessDryRun = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show the keys behind Kafka.")] = False,
    publish_new: Annotated[
        bool,
        typer.Option("--publish-new", help="Also publish events with sequences of other events in Kafka."),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let restored outboxes continue behind Kafka: no sequence in Kafka is given again.

    Stop the services first. The relay holds an outbox while Kafka has events unknown to its database. They stay unknown
    to the database; afterwards compare both sides with `exitflow trades reconcile` and `exitflow check`. With
    EXITFLOW_EXIT_EVENT_KEYS and EXITFLOW_TRADE_EVENT_KEYS only events signed by these keys count.
    """
    why = None if dry_run else needed_reason(reason)
    databases = service_databases(data_dir)
    settings = require_kafka(Target.choose(data_dir).settings())
    rows = []
    for outbox, found in _comparisons(settings, databases).items():
        rows += [{"outbox": outbox.name, **asdict(each)} for each in found.behind]
        if not publish_new:
            found.refuse_sequences_given_again()
        if why is not None:
            with outbox_connection(databases, outbox) as connection:
                catch_up(connection, found, "cli", why, accept=publish_new)
        _report(outbox, len(found.behind), dry_run=dry_run)
    if as_json:
        show_json(rows)
    else:
        show_table(_COLUMNS, (list(row.values()) for row in rows))


def _comparisons(settings: Settings, databases: Mapping[str, str]) -> dict[OutboxDatabase, Comparison]:
    found = {}
    for outbox in OUTBOXES:
        with outbox_connection(databases, outbox) as connection:
            found[outbox] = _compare(connection, outbox, settings)
    return found


def _compare(connection: Connection, outbox: OutboxDatabase, settings: Settings) -> Comparison:
    topics = published_topics(outbox.schema, settings)
    records = read_records(
        settings,
        open_admin(settings),
        topics,
        SystemClock(),
        limit_s=READ_LIMIT_S,
        group=f"{OPERATOR}-catch-up",
    )
    return compare(connection, topics, records, Authorship(outbox.schema, settings))


def _report(outbox: OutboxDatabase, keys: int, *, dry_run: bool) -> None:
    what = "behind Kafka" if dry_run else "raised to the sequences of Kafka"
    note(f"outbox {outbox.name}: {plural(keys, 'key')} {what}")
