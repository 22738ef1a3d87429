"""`exitflow ticks rehome`: after both topics were given more partitions, move open trades to their new ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from services.cli.commands.ticks_reset import exit_settings
from services.cli.support.command_line import AsJson, DataDir
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import show_json
from services.exit_qualification.ticks.reset import rehome
from shared.wording import plural


def rehome_ticks(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show the moves.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move open trades and symbols to their current partitions; exit-ticks then continues by itself.

    Use it when exit-ticks pauses because market.ticks.v1 and trades.v1 have more partitions than before. Both must have
    the same number (`exitflow topics grow`). No exit is triggered again. Needs EXITFLOW_EXIT_DATABASE_URL and
    EXITFLOW_KAFKA_BOOTSTRAP_SERVERS, or a running stack.
    """
    moved = rehome(require_kafka(exit_settings(data_dir)), actor="cli", reason=reason, dry_run=dry_run)
    if as_json:
        show_json(asdict(moved) | {"dry_run": dry_run})
        return
    verb = "would move" if dry_run else "moved"
    what = f"{plural(moved.trades, 'open trade')} and {plural(moved.symbols, 'symbol')}"
    print(f"{verb} {what}; {plural(moved.partitions, 'partition')}")
