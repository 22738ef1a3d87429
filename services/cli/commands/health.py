"""`exitflow health`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.compose import health_probe as readiness
from services.cli.support.command_line import AsJson, examples


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command("health", rich_help_panel=panel, epilog=examples("health http://127.0.0.1:8001", "health --json"))(
        health
    )


def health(
    url: Annotated[
        list[str] | None,
        typer.Argument(help="Root URL of a process; repeatable. By default the one on EXITFLOW_HTTP_PORT."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show whether processes are ready, with the problems of those not ready; exit status 1 if any is not."""
    raise typer.Exit(readiness.report(url or [], as_json=as_json))
