"""`exitflow settings`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from services.cli.support.command_line import AsJson, examples
from services.cli.support.output import show_json, show_table
from shared.settings import load_settings
from shared.settings_report import Origin, reported_settings


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the command to a panel of the help."""
    root.command("settings", rich_help_panel=panel, epilog=examples("settings", "settings --set-only --json"))(settings)


def settings(
    set_only: Annotated[bool, typer.Option("--set-only", help="Leave out settings at their default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its default, meaning, value and origin. Secrets are masked.

    The origin is `environment` (a variable EXITFLOW_…), `file` (in EXITFLOW_SECRETS_DIR) or `default`.
    """
    rows = [row for row in reported_settings(load_settings()) if not set_only or row.origin is not Origin.DEFAULT]
    if as_json:
        show_json([asdict(row) for row in rows])
    else:
        columns = ("setting", "value", "origin", "default", "meaning")
        show_table(columns, ((row.name, row.value, row.origin, row.default, row.meaning) for row in rows))
