"""`exitflow forward`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from deploy.compose.tcp_forwarder import Forward, forward_all
from services.cli.support.command_line import examples
from shared.runtime.telemetry import configure_logging
from shared.settings import load_settings


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command("forward", rich_help_panel=panel, epilog=examples("forward 8001=exit-api:8001 8002=trade-api:8002"))(
        forward
    )


def forward(
    ports: Annotated[list[str], typer.Argument(help="PORT=HOST:PORT, repeatable.", metavar="PORT=HOST:PORT...")],
) -> None:
    """Forward TCP connections to the copies of a service in turn."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(forward_all([Forward.parse(each) for each in ports], settings.http_host))
