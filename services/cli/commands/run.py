"""`exitflow run NAME`: each process of the catalogue, and the MCP server."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import typer

from services.cli.commands.run_mcp import run_mcp
from services.cli.support.command_line import examples, new_app
from shared.runtime.catalogue import PROCESSES, CataloguedProcess
from shared.settings import load_settings

if TYPE_CHECKING:  # the help of the command must not load an HTTP server
    from shared.runtime.process import ProcessSpec

app = new_app("Run one process in the foreground until SIGTERM or SIGINT, configured by the EXITFLOW_ settings.")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `run` to a panel of the help."""
    root.add_typer(app, name="run", rich_help_panel=panel)


def _command(process: CataloguedProcess) -> Callable[[], None]:
    def run() -> None:
        # Imported here: no process loads another's code.
        spec = cast("ProcessSpec", importlib.import_module(process.module).PROCESS)
        spec.main(load_settings())

    return run


for _process in PROCESSES.values():
    _help = f"{_process.does[0].upper()}{_process.does[1:]}."
    app.command(_process.name, help=_help, epilog=examples(f"run {_process.name}"))(_command(_process))
app.command("mcp", epilog=examples("run mcp", "run mcp --allow-changes --data-dir data"))(run_mcp)
