"""`exitflow run NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.processes import entry_point
from services.cli.support.command_line import examples
from shared.runtime.catalogue import PROCESSES
from shared.settings import load_settings

_LIST = "\n\n".join(f"[bold]{name}[/bold]: {process.does}" for name, process in PROCESSES.items())
_HELP = f"Run one process in the foreground until SIGTERM or SIGINT. The processes are:\n\n{_LIST}"


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command(
        "run",
        rich_help_panel=panel,
        help=_HELP,
        short_help="Run one process in the foreground.",
        epilog=examples("run exit-ticks", "run relay"),
    )(run)


def run(name: Annotated[str, typer.Argument(help="Which process.", metavar="NAME")]) -> None:
    """Run one process, configured by the EXITFLOW_ settings.

    Raises
    ------
    ConfigurationError
        No such process, or its settings or surroundings do not allow it to run.
    """
    entry_point(name)(load_settings())
