"""`exitflow ticks reset`: after Kafka's log was replaced, read it from its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from services.cli.support.command_line import AsJson, DataDir
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import show_json
from services.cli.support.running_stack import RunningStack
from services.exit_qualification.ticks.reset import reset
from shared.settings import Settings, load_settings
from shared.wording import plural


def reset_ticks(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete the stored offsets of ticks and trades: exit-ticks restarts at the beginning of both topics.

    Use it when the stored offsets belong to another Kafka log (log_identity_changed). Trades, symbols, episodes and
    intents stay, so no exit is triggered again. Needs EXITFLOW_EXIT_DATABASE_URL or a running stack.
    """
    settings = exit_settings(data_dir)
    if not yes:
        typer.confirm("Forget the offsets of market.ticks.v1 and trades.v1?", abort=True)
    partitions = reset(require_kafka(settings), actor="cli", reason=reason)
    if as_json:
        show_json({"partitions": partitions})
    else:
        print(f"read from its beginning: {plural(partitions, 'partition')}")


def exit_settings(data_dir: Path | None) -> Settings:
    """Return the settings with the exit database and the Kafka of the chosen stack.

    Raises
    ------
    NotFound
        No stack runs in the named directory, or in the default one if it is needed.
    """
    settings = load_settings()
    stack = RunningStack.chosen(data_dir, settings, {"exit_database_url"})
    if stack is None:
        return settings
    named = {
        "exit_database_url": SecretStr(stack.described["exit_database_url"]),
        "kafka_bootstrap_servers": stack.described["kafka_bootstrap_servers"],
    }
    return settings.model_copy(update=named)
