"""`exitflow outbox republish`: send kept events to Kafka again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from services.cli.commands.outbox_rebase import OUTBOXES, OutboxDatabase, outbox_connection
from services.cli.support.command_line import AsJson, DataDir, ReasonUnlessDryRun, examples, needed_reason
from services.cli.support.connection import Target
from services.cli.support.database_urls import service_databases
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import note, show_json, show_table
from services.outbox_relay.restore.republish import Plan, Range, audit, plan, republish
from shared.contracts.topics import EXIT_INTENTS, EXIT_SIGNALS, OPERATIONS_CONTROLS, TRADES, TopicNames
from shared.errors import NotFound
from shared.wording import plural

_EXIT, _TRADE = OUTBOXES
OUTBOX_OF = {EXIT_SIGNALS: _EXIT, EXIT_INTENTS: _EXIT, OPERATIONS_CONTROLS: _EXIT, TRADES: _TRADE}

_COLUMNS = ("key", "first", "last", "events")
KEYS_SHOWN = 100


def add_to(app: typer.Typer) -> None:
    """Add the command to the group `exitflow outbox`."""
    app.command(
        "republish",
        epilog=examples(
            "outbox republish --topic trades.v1 --since 2026-01-13T09:15:00+05:30 --dry-run",
            'outbox republish --topic trades.v1 --since 2026-01-13T09:15:00+05:30 --reason "topic was replaced"',
            'outbox republish --topic exits.intents.v1 --key 019abc… --reason "reader lost its store"',
            'outbox republish --topic trades.v1 --since 48211 --reason "goes on from the printed position"',
        ),
    )(republish_command)


def republish_command(
    topic: Annotated[str, typer.Option(help="Topic of the events to publish again.")],
    reason: ReasonUnlessDryRun = None,
    key: Annotated[list[str] | None, typer.Option(help="Only this key; may be repeated.", show_default="all")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Events written since this time (RFC 3339), or from a printed position on.", metavar="SINCE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; show the events.")] = False,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Publish the kept events although sequences are missing.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish kept events of a topic again: same ids, headers and signatures, each key in order.

    Readers with an inbox drop known events. Unpublished and parked events are left to the relay. Refused where
    retention has dropped events of the range. With SASL, EXITFLOW_KAFKA_USERNAME must be a user with the right to write
    the topic, such as the relay's.
    """
    settings = Target.choose(data_dir).settings()
    names = TopicNames(settings.kafka_topic_prefix)
    what = _range(names.on_cluster(names.logical(topic)), key, since)
    with outbox_connection(service_databases(data_dir), _outbox_of(names.logical(topic))) as connection:
        planned = plan(connection, what)
        if dry_run:
            _show(planned, as_json, dry_run=True)
        if not allow_gaps:
            planned.refuse_gaps()
        if dry_run:
            return
        why = needed_reason(reason)
        require_kafka(settings)
        audit(connection, what, planned, "cli", why)
        sent = republish(connection, settings, what, lambda done, position: _progress(done, planned, position))
    note(f"published {plural(sent, 'event')} of {what.topic} again")
    _show(planned, as_json, dry_run=False)


def _range(topic: str, keys: list[str] | None, since: str | None) -> Range:
    chosen = tuple(keys) if keys else None
    if since is None:
        return Range(topic, chosen)
    if since.isascii() and since.isdigit():
        return Range(topic, chosen, from_id=int(since))
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter("--since is neither a time (RFC 3339) nor a printed position") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("--since needs a time zone, e.g. 2026-01-13T09:15:00+05:30")
    return Range(topic, chosen, since=moment)


def _outbox_of(topic: str) -> OutboxDatabase:
    if topic not in OUTBOX_OF:
        raise NotFound(f"no outbox publishes {topic}; one of {', '.join(OUTBOX_OF)}")
    return OUTBOX_OF[topic]


def _progress(done: int, planned: Plan, position: int) -> None:
    note(f"{done} of {max(done, planned.events)} published; after a failure go on with --since {position}")


def _show(planned: Plan, as_json: bool, *, dry_run: bool) -> None:
    if as_json:
        facts = {"events": planned.events, "dry_run": dry_run}
        lists = {"keys": [asdict(each) for each in planned.keys], "missing": [asdict(each) for each in planned.missing]}
        show_json(facts | lists)
        return
    show_table(_COLUMNS, ([each.key, each.first, each.last, each.events] for each in planned.keys[:KEYS_SHOWN]))
    if len(planned.keys) > KEYS_SHOWN:
        print(f"and {plural(len(planned.keys) - KEYS_SHOWN, 'more key')}; --json shows all")
    if planned.missing:
        show_table(("key", "first", "last", "why"), ([m.key, m.first, m.last, m.why] for m in planned.missing))
