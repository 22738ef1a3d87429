"""`exitflow exits why`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.support.api_client import ApiClient, Json, path_of
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import show_facts, show_json, show_table
from services.cli.support.tapes.prices_around import past_time, prices_around
from shared.clock import SystemClock

_RULE_COLUMNS = (
    "exit_reason", "leg", "armed", "held_by", "level", "arms_at", "reached", "distance", "watermark", "bricks",
    "due_in_ms", "cooldown_until",
)  # fmt: skip
_ENTRY_COLUMNS = ("at", "step", "exit_reason", "episode_id", "detail")
_SHOWN_APART = ("rules", "waiting", "protective_stop", "timeline")


def add_to(group: typer.Typer) -> None:
    """Add the command to the group `exits`."""
    shown = examples("exits why 019abc…", "exits why 019abc… --at 10:05", "exits why 019abc… --gates --json")
    group.command("why", epilog=shown)(why)


def why(
    trade_id: Annotated[str, typer.Argument(help="The trade's id.")],
    gates: Annotated[bool, typer.Option("--gates", help="Show every gate with its input, not only refusals.")] = False,
    at: Annotated[
        str | None,
        typer.Option(
            help="Read the prices around this time from Kafka too: 10:05 of today, or RFC 3339.", metavar="TIME"
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Explain why a trade exited or did not: its timeline, and how far each rule is from the last price.

    With --at each rule has `reached_then`: whether a price within a minute of the given time reached the present level.
    """
    target = Target.choose(data_dir)
    time = None if at is None else past_time(at, SystemClock().now())
    with ApiClient(target.exit_api, target.token) as api:
        found = api.get(path_of("/exits/why/{}", trade_id))
    if time is not None:
        around = prices_around(require_kafka(target.settings()), found["symbol"], time)
        found["prices_around"] = around.facts()
        found["rules"] = [{**rule, "reached_then": around.reached(rule)} for rule in found["rules"]]
    if as_json:
        show_json(found)
        return
    show_facts((name, value) for name, value in found.items() if name not in _SHOWN_APART)
    columns = (*_RULE_COLUMNS, "reached_then") if time is not None else _RULE_COLUMNS
    show_table(columns, ([rule[column] for column in columns] for rule in found["rules"]), title="rules")
    if found["protective_stop"] is not None:
        stop = found["protective_stop"]
        show_facts((f"protective_stop.{name}", value) for name, value in stop.items() if value is not None)
    for work in found["waiting"]:
        show_facts({"waiting": work["work"], "why": work["why"], "retry_at": work["retry_at"]}.items())
    show_table(_ENTRY_COLUMNS, (_row(entry) for entry in found["timeline"]), title="timeline")
    if gates:
        for entry in found["timeline"]:
            _show_gates(entry)


def _row(entry: Json) -> list[object]:
    detail = {name: value for name, value in entry["detail"].items() if name != "gates" and value is not None}
    return [entry[column] if column != "detail" else (detail or None) for column in _ENTRY_COLUMNS]


def _show_gates(entry: Json) -> None:
    verdicts = entry["detail"].get("gates")
    if verdicts:
        rows = ([gate["gate"], gate["verdict"], gate["detail"]] for gate in verdicts)
        show_table(("gate", "verdict", "detail"), rows, title=f"gates of {entry['exit_reason']} at {entry['at']}")
