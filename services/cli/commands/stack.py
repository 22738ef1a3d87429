"""`exitflow up|down|status`: the local stack."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.local.kafka.selection import KafkaChoice
from deploy.local.state.data_directory import default_data_dir
from services.cli.support.command_line import AsJson, examples
from services.cli.support.output import note, show_json, show_table
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from deploy.local.stack.status import ProcessStatus, StackStatus

NOT_RUNNING_STATUS = 3

StackDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Everything of the stack is kept here.", show_default="/var/lib/exitflow for root"),
]
Kafka = Annotated[
    KafkaChoice,
    typer.Option(
        help="apache: real Kafka, needs Java 17 and, once, Maven. tansu: in memory, needs neither. "
        "external: one named by the settings. auto: the first possible of external, apache, tansu."
    ),
]


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the commands to a panel of the help."""
    root.command(
        "up", rich_help_panel=panel, epilog=examples("up", "up --detach --data-dir ./data", "up --kafka tansu")
    )(up)
    root.command("down", rich_help_panel=panel, epilog=examples("down", "down --data-dir ./data"))(down)
    root.command("status", rich_help_panel=panel, epilog=examples("status", "status --json"))(status)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
    data_dir: StackDir = None,
    kafka: Kafka = KafkaChoice.AUTO,
    ready_timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds for servers, and then services, to become ready; EXITFLOW_READY_TIMEOUT_S by default.",
            min=1,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the whole system on this machine, with its PostgreSQL and Kafka, until Ctrl-C."""
    stack = _stack()
    options = stack.StackOptions(data_dir or default_data_dir(), kafka, ready_timeout_s=ready_timeout)
    start = stack.up_detached if detach else stack.up
    raise typer.Exit(start(options, note))


def down(data_dir: StackDir = None, as_json: AsJson = False) -> None:
    """Stop the local stack; its data stays."""
    directory = data_dir or default_data_dir()
    status = _stack().down(directory, note)
    if as_json:
        show_json({"data_dir": str(directory), "stopped": status == 0})
    raise typer.Exit(status)


def status(data_dir: StackDir = None, as_json: AsJson = False) -> None:
    """Show every process of the stack. The exit status is 0 if all are ready, 3 if not."""
    found: StackStatus = _stack().status(data_dir or default_data_dir())
    if as_json:
        show_json({**asdict(found), "data_dir": str(found.data_dir), "ready": found.ready})
    else:
        _show_table(found)
    raise typer.Exit(0 if found.ready else NOT_RUNNING_STATUS)


def _stack() -> ModuleType:
    """Import the local stack on first use: its packages are optional."""
    try:
        return importlib.import_module("deploy.local.stack.stack")
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"the local stack needs {error.name}: pip install 'exitflow[local]'") from error


def _show_table(found: StackStatus) -> None:
    if not found.running:
        print(f"no stack is running in {found.data_dir}")
    if found.processes:
        show_table(
            ("process", "pid", "state", "up", "restarts", "problem"),
            (
                (one.name, one.pid or "-", _state(one), f"{one.uptime_s:.0f} s", one.restarts, one.problem)
                for one in found.processes
            ),
        )


def _state(process: ProcessStatus) -> str:
    if not process.alive:
        return "ended"
    return "ready" if process.ready else "not ready"
