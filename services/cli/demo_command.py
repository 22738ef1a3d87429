"""`exitflow demo`."""

from __future__ import annotations

import typer

from services.cli.command_line import examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=examples("demo", "demo --seed 11 --trades 50 --symbols 5"))(demo)


def demo() -> None:
    """Play a whole market on an embedded stack and check what must hold."""
