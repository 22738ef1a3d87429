"""`exitflow trades reconcile`: publish again the fills missed by trade management."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from services.cli.commands.outbox_rebase import OUTBOXES, outbox_connection
from services.cli.support.command_line import AsJson, DataDir, examples
from services.cli.support.connection import Target
from services.cli.support.database_urls import service_databases
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import note, show_json, show_table
from services.cli.support.trades_reconciliation import MissingFill, Sides, both_sides, republished_range
from services.outbox_relay.restore.republish import audit, plan, republish
from shared.contracts.topics import EXIT_INTENTS, TopicNames
from shared.errors import Conflict
from shared.settings import Settings
from shared.wording import plural

LOOK_S = 0.25
_COLUMNS = ("trade_id", "intent_id", "broker_trade_id", "remedy", "why")


def add_to(app: typer.Typer) -> None:
    """Add the command to the group `exitflow trades`."""
    app.command("reconcile", epilog=examples("trades reconcile --dry-run", "trades reconcile"))(reconcile)


def reconcile(
    reason: Annotated[str, typer.Option(help="Why; audited.")] = "trades reconciled with the fills of the exit side",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; show the missing events.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds for trade-fills to act upon the events.")] = 60.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare trades with the exit side's fills and publish the missed ones again.

    Missed events are published again with all events of their trades, in order. Once nothing is
    missing, the gaps of trade-fills are acknowledged. Open trades known only to the exit side are listed: their exits
    are judged and sent, but nothing books them. Ends with status 1 while something is missing or unknown.
    """
    databases = service_databases(data_dir)
    settings = require_kafka(Target.choose(data_dir).settings())
    topic = TopicNames(settings.kafka_topic_prefix).on_cluster(EXIT_INTENTS)
    with both_sides(databases) as sides:
        found = sides.compare(topic)
        sent, left, acknowledged = 0, found, list[int]()
        if not dry_run:
            sent = _publish_again(settings, databases, topic, found, reason)
            left = _wait(sides, topic, wait_s) if found else []
            acknowledged = [] if left else sides.acknowledge_gaps(reason)
        unknown = sides.unknown_trades()
    if as_json:
        facts: dict[str, Any] = {"missing": [asdict(each) for each in found], "left": [asdict(each) for each in left]}
        facts |= {"unknown_trades": unknown, "republished": sent, "acknowledged": acknowledged, "dry_run": dry_run}
        show_json(facts)
    else:
        show_table(_COLUMNS, (list(asdict(each).values()) for each in left))
        note(f"missing fills: {len(found)} before, {len(left)} now; {plural(sent, 'event')} published again")
        note(f"{plural(len(acknowledged), 'gap')} of trade-fills acknowledged")
        for trade_id in unknown:
            note(f"trade {trade_id} is open on the exit side, and trade management does not know it")
    if left:
        raise Conflict(f"missing on one side: {plural(len(left), 'fill')}, {_unrepairable(left)} to be decided by hand")
    if unknown:
        raise Conflict(
            f"trade management does not know {plural(len(unknown), 'open trade')} of the exit side: "
            "was its database restored? Restore a newer backup, or close these positions at the broker and compare "
            "its books"
        )


def _publish_again(
    settings: Settings, databases: Mapping[str, str], topic: str, found: Sequence[MissingFill], reason: str
) -> int:
    what = republished_range(topic, list(found))
    if not what.keys:
        return 0
    # If retention has dropped a trade's older events, the kept ones are sent: each tells all fills so far.
    with outbox_connection(databases, OUTBOXES[0]) as connection:
        audit(connection, what, plan(connection, what), "cli", reason)
        return republish(connection, settings, what)


def _wait(sides: Sides, topic: str, wait_s: float) -> list[MissingFill]:
    """Return the still missing fills once nothing can come any more, or the time is over."""
    retrying = Retrying(
        stop=stop_after_delay(wait_s),
        wait=wait_fixed(LOOK_S),
        retry=retry_if_result(lambda left: _unrepairable(left) < len(left)),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
    )
    return retrying(sides.compare, topic)


def _unrepairable(missing: Sequence[MissingFill]) -> int:
    return sum(each.remedy == "none" for each in missing)
