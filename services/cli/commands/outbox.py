"""`exitflow outbox`: status, parked, replay, discard, pause, resume, and commands on the databases."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from services.cli.commands import outbox_catch_up as outbox_catch_up_command
from services.cli.commands import outbox_rebase as outbox_rebase_command
from services.cli.commands import outbox_republish as outbox_republish_command
from services.cli.support.api_client import ApiClient, Json
from services.cli.support.command_line import (
    AsJson,
    DataDir,
    ReasonUnlessDryRun,
    examples,
    needed_reason,
    new_app,
)
from services.cli.support.connection import Target
from services.cli.support.output import show_facts, show_json, show_table
from shared.errors import NotFound
from shared.wording import plural

app = new_app("Watch publishing; replay or discard parked events; pause shards.")
outbox_rebase_command.add_to(app)
outbox_republish_command.add_to(app)
outbox_catch_up_command.add_to(app)

_SHARD_COLUMNS = ("shard", "owner", "paused", "epoch", "lease_until", "backlog", "oldest_age_s", "parked")
_PARKED_COLUMNS = ("event_id", "topic", "key", "sequence", "event_type", "reason", "parked_at", "request")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `outbox` to a panel of the help."""
    root.add_typer(app, name="outbox", rich_help_panel=panel)


class WhichOutbox(StrEnum):
    """The outboxes there are, each behind the API of its service."""

    EXIT = "exit"
    TRADE = "trade"


class ParkedNames(NamedTuple):
    """Names for a choice of parked events."""

    topic: str | None = None
    key: str | None = None
    event: str | None = None


Outbox = Annotated[
    WhichOutbox, typer.Option("--outbox", help="exit: of the exits; trade: of the trades.", case_sensitive=False)
]
Reason = Annotated[str, typer.Option(help="Why; audited.")]
Shard = Annotated[int, typer.Argument(help="The shard's number.", min=0, max=63)]


def outbox_api(outbox: WhichOutbox, data_dir: Path | None) -> ApiClient:
    """Return a client of the API serving this outbox."""
    target = Target.choose(data_dir)
    return ApiClient(target.exit_api if outbox is WhichOutbox.EXIT else target.trade_api, target.token)


@app.command("status", epilog=examples("outbox status", "outbox status --outbox trade --json"))
def status(outbox: Outbox = WhichOutbox.EXIT, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the owner and backlog of each shard, and the parked events."""
    with outbox_api(outbox, data_dir) as api:
        found = api.get("/outbox")
    if as_json:
        show_json(found)
        return
    show_facts(found["totals"].items())
    show_table(_SHARD_COLUMNS, ([shard.get(column) for column in _SHARD_COLUMNS] for shard in found["shards"]))


@app.command("parked", epilog=examples("outbox parked", "outbox parked --outbox trade --topic trades.v1 --json"))
def parked(
    topic: Annotated[str | None, typer.Option(help="Only of this topic, as the cluster names it.")] = None,
    key: Annotated[str | None, typer.Option(help="Only of this key.")] = None,
    limit: Annotated[int, typer.Option(help="Events at most.", min=1)] = 100,
    outbox: Outbox = WhichOutbox.EXIT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List parked events, each key in order."""
    with outbox_api(outbox, data_dir) as api:
        events = list(api.items("/outbox/parked", limit, topic=topic, key=key))
    _show_parked(events, None, as_json)


@app.command(
    "replay",
    epilog=examples(
        'outbox replay --topic exits.intents.v1 --key 019abc… --reason "limit raised"',
        "outbox replay --topic exits.intents.v1 --dry-run",
        'outbox replay --event 019def… --reason "limit raised"',
        'outbox replay --outbox trade --topic trades.v1 --reason "topic made"',
    ),
)
def replay(
    reason: ReasonUnlessDryRun = None,
    topic: Annotated[str | None, typer.Option(help="Parked events of this topic.")] = None,
    key: Annotated[str | None, typer.Option(help="Of this key only.")] = None,
    event: Annotated[str | None, typer.Option(help="Parked events of this event's key.", metavar="EVENT_ID")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the events.")] = False,
    outbox: Outbox = WhichOutbox.EXIT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish parked events again, each key in order; events rejected again stay parked."""
    if (topic is None) == (event is None) or (key is not None and topic is None):
        raise typer.BadParameter("name either --topic, with or without --key, or --event")
    if dry_run:
        events = _parked(outbox, ParkedNames(topic, key, event), data_dir)
        keys = len({(each["topic"], each["key"]) for each in events})
        found = f"{plural(len(events), 'event')} of {plural(keys, 'key')}"
        _show_parked(events, f"to send: {found}, each key in order; rejected ones stay parked", as_json)
        return
    body = {"topic": topic, "key": key, "event_id": event, "reason": needed_reason(reason)}
    _act(outbox, "/outbox/parked/replay", body, data_dir, as_json)


@app.command(
    "discard", epilog=examples("outbox discard 019def… --dry-run", 'outbox discard 019def… --reason "never valid"')
)
def discard(
    event_id: Annotated[str, typer.Argument(help="The parked event.")],
    reason: ReasonUnlessDryRun = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the events of its key.")] = False,
    outbox: Outbox = WhichOutbox.EXIT,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish a Discarded event in place of a parked one, once those before it of its key are decided."""
    if dry_run:
        events = _parked(outbox, ParkedNames(event=event_id), data_dir)
        (number,) = (each["sequence"] for each in events if each["event_id"] == event_id)
        title = f"to discard: number {number}, once earlier ones of its key are decided; later ones stay parked"
        _show_parked(events, title, as_json)
        return
    body = {"event_id": event_id, "reason": needed_reason(reason)}
    _act(outbox, "/outbox/parked/discard", body, data_dir, as_json)


@app.command("pause", epilog=examples('outbox pause 17 --reason "consumer in trouble"'))
def pause(
    shard: Shard, reason: Reason, outbox: Outbox = WhichOutbox.EXIT, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Publish nothing of a shard until it is resumed; it also keeps old partitions from being dropped."""
    _act(outbox, f"/outbox/shards/{shard}/pause", {"reason": reason}, data_dir, as_json)


@app.command("resume", epilog=examples('outbox resume 17 --reason "consumer is well"'))
def resume(
    shard: Shard, reason: Reason, outbox: Outbox = WhichOutbox.EXIT, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Publish a paused shard again."""
    _act(outbox, f"/outbox/shards/{shard}/resume", {"reason": reason}, data_dir, as_json)


def _parked(outbox: WhichOutbox, named: ParkedNames, data_dir: Path | None) -> list[Json]:
    """Return the parked events of a topic, or of its key, or of an event's key.

    Raises
    ------
    NotFound
        The event is not parked.
    """
    with outbox_api(outbox, data_dir) as api:
        events = list(api.items("/outbox/parked", topic=named.topic, key=named.key))
    if named.event is None:
        return events
    keys = {(each["topic"], each["key"]) for each in events if each["event_id"] == named.event}
    if not keys:
        raise NotFound(
            f"event {named.event} is not parked in outbox {outbox}; `exitflow outbox parked` lists those that are"
        )
    return [each for each in events if (each["topic"], each["key"]) in keys]


def _show_parked(events: list[Json], title: str | None, as_json: bool) -> None:
    if as_json:
        show_json(events)
    else:
        show_table(_PARKED_COLUMNS, ([each.get(column) for column in _PARKED_COLUMNS] for each in events), title=title)


def _act(outbox: WhichOutbox, path: str, body: Json, data_dir: Path | None, as_json: bool) -> None:
    with outbox_api(outbox, data_dir) as api:
        answer = api.post(path, {name: value for name, value in body.items() if value is not None})
    show_json(answer) if as_json else show_facts(answer.items())
